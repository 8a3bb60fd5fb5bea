// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Glibc
import Protocol

/// Fills a store that no daemon has open with small checkpoints that are all different: `bench fill STATE COUNT`.
enum StoreFiller {
    /// Imports them by the code that imports models, and prints a JSON line for each; returns the exit status.
    static func run(_ words: [String]) -> Int32 {
        guard words.count == 2, let count = Int(words[1]), count >= 0 else {
            complain("usage: unlearnd-worker bench fill STATE COUNT")
            return ExitCode.usage.rawValue
        }
        do {
            let store = try ObjectStore(root: words[0])
            for index in 0..<count {
                let made = try checkpoint(index, in: store)
                let line: JSONValue = [
                    "manifest": .string(made.manifestID.hex),
                    "digest": .string(made.manifest.versionDigest.hex),
                    "bytes": .integer(Int64(made.manifest.size)),
                    "stored_bytes": .integer(Int64(made.storedBytes)),
                ]
                print(line.serializedString())
            }
            return 0
        } catch {
            complain("\(error)")
            return ExitCode.storage.rawValue
        }
    }

    /// One weight of its own beside those that all share, and a configuration.
    private static func checkpoint(_ index: Int, in store: ObjectStore) throws -> CheckpointImporter.Result {
        let header = #"{"w":{"dtype":"F32","shape":[1024],"data_offsets":[0,4096]}}"#
        func little(_ value: UInt64, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
        }
        let weights =
            little(UInt64(header.utf8.count), 8) + Array(header.utf8)
            + (0..<1024).flatMap { little(UInt64(Float($0 == 0 ? index : $0).bitPattern), 4) }
        let configuration = Array(#"{"model_type":"made-up"}"#.utf8)
        let files = try [("config.json", configuration), ("model.safetensors", weights)].map {
            ImportFile(path: $0.0, descriptor: try file($0.1))
        }
        defer { for file in files { close(file.descriptor) } }
        return try CheckpointImporter.import(files: files, store: store, threads: 1)
    }

    /// A file without a name that has these bytes.
    private static func file(_ bytes: [UInt8]) throws -> Int32 {
        var name = Array("/tmp/unlearnd-fill.XXXXXX".utf8CString)
        let file = mkstemp(&name)
        guard file >= 0, unlink(name) == 0, write(file, bytes, bytes.count) == bytes.count else {
            throw CheckpointError(.ioFailure, "no file can be made in /tmp")
        }
        return file
    }
}
