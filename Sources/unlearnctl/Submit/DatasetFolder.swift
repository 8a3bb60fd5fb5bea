// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// The datasets that a job file names; each file is read once, however many jobs name it.
final class DatasetFolder {
    private let path: String
    private var read: [String: DatasetArgument] = [:]

    /// The folder in which a job file stands, or the working directory for standard input.
    init(of file: String) {
        let slash = file.lastIndex(of: "/")
        path = slash.map { $0 == file.startIndex ? "" : String(file[..<$0]) } ?? "."
    }

    /// A dataset by its id or by its file's path.
    /// - Parameter place: Where it is named.
    /// - Throws: ``ClientError`` with status 64 or 65 that names the place.
    func dataset(_ value: JSONValue, _ place: String) throws(ClientError) -> DatasetArgument {
        guard let text = value.stringValue, !text.isEmpty else {
            throw ClientError(
                .badInput, "\(place): \(value.kindName) names no dataset",
                hint: "name a file, or a dataset by its id")
        }
        if let known = read[text] { return known }
        let isStored = text.hasPrefix("sha256:") || Digest(hex: text) != nil
        do {
            let made = try DatasetArgument(isStored || text.hasPrefix("/") ? text : "\(path)/\(text)")
            read[text] = made
            return made
        } catch {
            throw ClientError(error.status, "\(place): \(error.message)", hint: error.hint)
        }
    }
}
