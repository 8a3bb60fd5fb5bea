// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Where in a file something stands, for messages.
struct JobPlace: CustomStringConvertible {
    private let file: String
    private let document: StrictYAML.Document?
    private var path: [String] = []

    /// The whole of a file, or one document of it; JSON has no lines.
    init(file: String, document: StrictYAML.Document? = nil) {
        self.file = file
        self.document = document
    }

    /// A part of it.
    func within(_ path: [String]) -> JobPlace {
        var place = self
        place.path += path
        return place
    }

    /// The place of a member, by its path in this part; empty for the part itself.
    func at(_ field: String) -> String {
        let full = (path + (field.isEmpty ? [] : [field])).joined(separator: ".")
        if let document { return "\(file), line \(document.line(of: full))" }
        return path.isEmpty ? file : "\(file), \(path.joined(separator: "."))"
    }

    var description: String { at("") }
}
