// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The example of invented people that comes with the project: a small Llama, its tokenizer and its rows.
package enum ExampleModel {
    /// The example's directory.
    package static let directory: String = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().appendingPathComponent("../../Examples/people").standardizedFileURL.path

    /// The path of one of its files.
    package static func path(_ name: String) -> String { directory + "/" + name }

    /// The first rows of one of its datasets, as text.
    package static func rows(_ name: String, _ count: Int) throws -> String {
        let text = try String(contentsOfFile: path(name), encoding: .utf8)
        return text.split(separator: "\n").prefix(count).joined(separator: "\n") + "\n"
    }
}
