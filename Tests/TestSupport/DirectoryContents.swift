// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The files of a directory tree by relative path, for comparing trees byte for byte.
package func directoryContents(_ directory: String) throws -> [String: Data] {
    var contents: [String: Data] = [:]
    guard let walk = FileManager.default.enumerator(atPath: directory) else {
        throw TestFailure("\(directory) cannot be listed")
    }
    for case let path as String in walk {
        let full = directory + "/" + path
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: full, isDirectory: &isDirectory), !isDirectory.boolValue {
            contents[path] = try Data(contentsOf: URL(fileURLWithPath: full))
        }
    }
    return contents
}
