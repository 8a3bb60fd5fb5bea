// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `--utility FILE` or `--utility NAME=FILE`.
struct UtilityArgument: ExpressibleByArgument {
    /// The set's name among the figures.
    let name: String
    /// The file, a dataset's id, or `-`.
    let source: String

    init?(argument: String) {
        // A path with a slash before the sign is no name.
        if let position = argument.firstIndex(of: "="), !argument[..<position].contains("/") {
            name = String(argument[..<position])
            source = String(argument[argument.index(after: position)...])
        } else {
            source = argument
            name = Self.name(of: argument)
        }
        if source.isEmpty || !UtilitySet.isName(name) { return nil }
    }

    /// A file's name without folder and ending, in the letters that a set's name has.
    private static func name(of path: String) -> String {
        let file = path.split(separator: "/").last ?? ""
        let stem = file.split(separator: ".", omittingEmptySubsequences: false).first ?? ""
        let letters = stem.lowercased().map { character in
            UtilitySet.isName(String(character)) ? character : "_"
        }
        return String(String(letters).prefix(64))
    }
}
