// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The third-party test data beside the checkout, or where `UNLEARN_SHARED` says.
package enum SharedData {
    /// The data's directory.
    package static let directory: String = {
        if let named = ProcessInfo.processInfo.environment["UNLEARN_SHARED"] { return named }
        let file = URL(fileURLWithPath: #filePath)
        return file.deletingLastPathComponent().appendingPathComponent("../../../shared").standardizedFileURL
            .path
    }()

    /// The path of a file or directory of the data; `nil`, with a printed reason, when it is not there.
    package static func path(_ name: String) -> String? {
        let path = directory + "/" + name
        if FileManager.default.fileExists(atPath: path) { return path }
        print("skipped: \(path) is not there; set UNLEARN_SHARED to the directory with the test data")
        return nil
    }
}
