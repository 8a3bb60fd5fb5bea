// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Glibc
import Protocol

/// Measures the store's codec alone, on one thread and in memory: `bench codec DTYPE FILE [ROUNDS]`.
enum CodecBench {
    /// Prints a JSON line for each round; returns the exit status.
    static func run(_ words: [String]) -> Int32 {
        guard (2...3).contains(words.count), let rounds = words.count == 3 ? Int(words[2]) : 3,
            let dtype = DType(rawValue: words[0])
        else {
            complain("usage: unlearnd-worker bench codec DTYPE FILE [ROUNDS]")
            return ExitCode.usage.rawValue
        }
        guard let content = mapped(words[1]) else {
            complain("\(words[1]) cannot be read")
            return ExitCode.badInput.rawValue
        }
        defer { munmap(content.baseAddress, content.count) }
        do {
            for _ in 0..<rounds {
                let trial = try CodecTrial.run(UnsafeRawBufferPointer(content), dtype: dtype)
                let line: JSONValue = [
                    "raw_bytes": .integer(Int64(trial.raw)), "stored_bytes": .integer(Int64(trial.stored)),
                    "compress_seconds": .number(trial.compressing),
                    "verify_seconds": .number(trial.verifying),
                    "decompress_seconds": .number(trial.decompressing),
                    "hash_seconds": .number(trial.hashing),
                ]
                print(line.serializedString())
            }
            return 0
        } catch {
            complain("\(error)")
            return ExitCode.internalError.rawValue
        }
    }

    /// A file that nobody changes meanwhile, in memory before anything is timed.
    private static func mapped(_ path: String) -> UnsafeMutableRawBufferPointer? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_size > 0,
            let start = mmap(nil, Int(status.st_size), PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0),
            start != MAP_FAILED
        else { return nil }
        return UnsafeMutableRawBufferPointer(start: start, count: Int(status.st_size))
    }
}
