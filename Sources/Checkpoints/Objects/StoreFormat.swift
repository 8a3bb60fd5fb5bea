// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The FORMAT file, which says what a program must know to use the store.
enum StoreFormat {
    /// What a program must know beyond the first format, and this one does.
    enum Feature: String, CaseIterable {
        /// Objects that are stored as differences from others: whoever does not know it can neither read them nor tell
        /// that their bases are needed.
        case deltas
        /// All object files are sealed: whoever does not know it can read none and would write plain ones.
        case encryption
    }

    private static let lists = ["read", "write", "check", "delete"]

    /// Checks the file, or writes it for a new store; its name is the caller's to synchronise.
    /// - Parameter features: What a new store uses.
    static func check(
        root: String, kind: ObjectStore.Kind = .state, features: [Feature] = [],
        _ fileSystem: any FileSystem
    ) throws {
        let path = root + "/FORMAT"
        guard try fileSystem.status(path) != nil else {
            try write(root: root, path: path, kind, features, fileSystem)
            return
        }
        let value = try read(root: root, fileSystem)
        guard value["store"]?.stringValue == kind.rawValue else {
            throw broken(path, "it is not that of \(kind.words)")
        }
        // Features that a program must know before it may read, write, check or delete.
        let unknown = lists.flatMap { value[$0]?.arrayValue ?? [] }.filter {
            $0.stringValue.flatMap(Feature.init) == nil
        }
        guard value["format"]?.integerValue == 1, unknown.isEmpty else {
            let names = Set(unknown.map { quoted($0.stringValue ?? $0.serializedString()) }).sorted()
            throw CheckpointError(
                .newerFormat,
                "the store at \(root) was written by a newer version"
                    + (names.isEmpty ? "" : ", which uses \(names.joined(separator: ", "))"),
                hint: "use that version, or another state directory")
        }
    }

    /// Whether there is a store at `root`, and whether it is encrypted; `nil` where there is none yet.
    static func isEncrypted(root: String, _ fileSystem: any FileSystem) throws -> Bool? {
        guard try fileSystem.status(root + "/FORMAT") != nil else { return nil }
        return try has(.encryption, root: root, fileSystem)
    }

    /// Whether the store says that it uses a feature.
    static func has(_ feature: Feature, root: String, _ fileSystem: any FileSystem) throws -> Bool {
        let value = try read(root: root, fileSystem)
        return lists.allSatisfy {
            value[$0]?.arrayValue?.contains(.string(feature.rawValue)) == true
        }
    }

    /// Writes down, durably, that the store uses a feature.
    static func add(_ feature: Feature, root: String, _ fileSystem: any FileSystem) throws {
        guard var value = try read(root: root, fileSystem).objectValue else { return }
        for list in lists {
            let names = value[list]?.arrayValue ?? []
            if !names.contains(.string(feature.rawValue)) {
                value[list] = .array(names + [.string(feature.rawValue)])
            }
        }
        let path = root + "/FORMAT"
        let temporary = path + "." + randomName()
        do {
            try fileSystem.with(temporary, .create) { descriptor in
                try (JSONValue.object(value).serialized() + [0x0A]).withUnsafeBytes {
                    try fileSystem.write(descriptor, $0)
                }
                try fileSystem.synchronize(descriptor)
            }
            try fileSystem.rename(temporary, to: path)
        } catch {
            try? fileSystem.unlink(temporary)
            throw error
        }
        try fileSystem.synchronizeDirectory(root)
    }

    private static func read(root: String, _ fileSystem: any FileSystem) throws -> JSONValue {
        let path = root + "/FORMAT"
        guard let status = try fileSystem.status(path), status.kind == .regular, status.size <= 65536 else {
            throw broken(path, "it is not a short file")
        }
        var text = [UInt8](repeating: 0, count: status.size)
        let count = try fileSystem.with(path, .read) { descriptor in
            try text.withUnsafeMutableBytes { try fileSystem.read(descriptor, into: $0, at: 0) }
        }
        do {
            return try StrictJSON.parse(Array(text.prefix(count)))
        } catch {
            throw broken(path, "\(error)")
        }
    }

    private static func write(
        root: String, path: String, _ kind: ObjectStore.Kind, _ features: [Feature],
        _ fileSystem: any FileSystem
    ) throws {
        var value = JSONObject()
        value["store"] = .string(kind.rawValue)
        value["format"] = 1
        value["id"] = .string(randomName())
        for list in lists { value[list] = .array(features.map { .string($0.rawValue) }) }
        let temporary = path + "." + randomName()
        try fileSystem.with(temporary, .create) { descriptor in
            try (JSONValue.object(value).serialized() + [0x0A]).withUnsafeBytes {
                try fileSystem.write(descriptor, $0)
            }
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
