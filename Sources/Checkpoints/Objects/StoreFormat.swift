// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The FORMAT file, which says what a program must know to use the store.
enum StoreFormat {
    /// Checks the file, or writes it for a new store; its name is the caller's to synchronise.
    static func check(root: String, kind: ObjectStore.Kind = .state, _ fileSystem: any FileSystem) throws {
        let path = root + "/FORMAT"
        guard let status = try fileSystem.status(path) else {
            try write(root: root, path: path, kind, fileSystem)
            return
        }
        guard status.kind == .regular, status.size <= 65536 else {
            throw broken(path, "it is not a short file")
        }
        var text = [UInt8](repeating: 0, count: status.size)
        let count = try fileSystem.with(path, .read) { descriptor in
            try text.withUnsafeMutableBytes { try fileSystem.read(descriptor, into: $0, at: 0) }
        }
        let value: JSONValue
        do {
            value = try StrictJSON.parse(Array(text.prefix(count)))
        } catch {
            throw broken(path, "\(error)")
        }
        guard value["store"]?.stringValue == kind.rawValue else {
            throw broken(path, "it is not that of \(kind.words)")
        }
        // Features that a program must know before it may read, write, check or delete.
        let features = ["read", "write", "check", "delete"].flatMap { value[$0]?.arrayValue ?? [] }
        guard value["format"]?.integerValue == 1, features.isEmpty else {
            throw CheckpointError(
                .newerFormat, "the store at \(root) was written by a newer version",
                hint: "use that version, or another state directory")
        }
    }

    private static func write(
        root: String, path: String, _ kind: ObjectStore.Kind, _ fileSystem: any FileSystem
    ) throws {
        let value: JSONValue = [
            "store": .string(kind.rawValue), "format": 1, "id": .string(randomName()), "read": [],
            "write": [],
            "check": [],
            "delete": [],
        ]
        let temporary = path + "." + randomName()
        try fileSystem.with(temporary, .create) { descriptor in
            try (value.serialized() + [0x0A]).withUnsafeBytes { try fileSystem.write(descriptor, $0) }
            try fileSystem.synchronize(descriptor)
        }
        // Two programs may open a new store at once; the first to link wins.
        do throws(FileSystemError) {
            try fileSystem.link(temporary, to: path)
        } catch {
            guard error.isPresent else { throw error }
        }
        try fileSystem.unlink(temporary)
    }

    private static func broken(_ path: String, _ reason: String) -> CheckpointError {
        CheckpointError(
            .corrupt, "\(path) is damaged: \(reason)", hint: "restore it from a backup of the state directory"
        )
    }
}
