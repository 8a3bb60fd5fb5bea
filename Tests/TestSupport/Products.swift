// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// The programs that were built with the tests.
package enum Products {
    /// The folder with the programs: the test bundle's, or `UNLEARN_PRODUCTS`.
    package static let directory: String = {
        if let named = ProcessInfo.processInfo.environment["UNLEARN_PRODUCTS"] { return named }
        var candidates = CommandLine.arguments.filter { $0.contains(".xctest") }
        candidates.append(
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "")
        let folders = candidates.map { ($0 as NSString).deletingLastPathComponent }
        return folders.first { access($0 + "/unlearnd", X_OK) == 0 } ?? "."
    }()

    /// The path of a program.
    package static func path(_ name: String) -> String { directory + "/" + name }
}
