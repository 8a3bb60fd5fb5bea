// SPDX-License-Identifier: Apache-2.0

import Protocol

/// What tells one store from another: the `id` of its FORMAT file.
enum StoreName {
    /// - Throws: ``StartupError``.
    static func read(_ root: String) throws(StartupError) -> String {
        guard let text = SmallFile.read(root + "/FORMAT", limit: 65536),
            let value = try? StrictJSON.parse(text),
            let id = value["id"]?.stringValue, !id.isEmpty,
            id.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            throw StartupError(
                .store, "\(root)/FORMAT does not name the store",
                hint: "restore it from a backup of the state directory")
        }
        return id
    }
}
