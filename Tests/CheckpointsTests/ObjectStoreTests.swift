// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import Protocol
import Testing

struct ObjectStoreTests {
    @Test func `objects of every dtype and odd sizes come back as they were`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let transaction = try store.begin()
        var random = TestRandom(1)
        let sizes = [0, 1, 2, 3, 5, 7, 8, 4095, 4096, 65_537, (1 << 20) - 1, 1 << 20, (1 << 20) + 3]
        for dtype in [nil] + DType.allCases.map(Optional.some) {
            for size in sizes
            where size < 70_000 || dtype == .bf16 || dtype == .f32 || dtype == .i64 || dtype == nil {
                let raw = dtype.map { random.weights($0, size * 8 / $0.bits + 1) } ?? random.bytes(size)
                let bytes = Array(raw.prefix(size))
                let stored = try transaction.put(bytes, kind: .chunk, dtype: dtype)
                #expect(try store.get(stored.id) == bytes, "\(size) bytes of \(String(describing: dtype))")
                #expect(try store.stat(stored.id)?.rawSize == size)
                #expect(stored.id == ContentHash.of(bytes))
            }
        }
        try transaction.sync()
    }

    @Test func `constant, repeating and random bytes are stored in few bytes where they can be`() throws {
        let directory = try TemporaryDirectory()
        let transaction = try directory.store().begin()
        var random = TestRandom(2)
        let zeros = try transaction.put([UInt8](repeating: 0, count: 3 << 20), kind: .chunk, dtype: .f32)
        #expect(zeros.stored < 2000)
        let period = random.bytes(1000)
        let repeating = try transaction.put(
            Array((0..<1000).map { _ in period }.joined()), kind: .blob)
        #expect(repeating.stored < 50_000)
        let noise = try transaction.put(random.bytes(1 << 20), kind: .blob)
        #expect(noise.stored < (1 << 20) + 200)
        let weights = try transaction.put(random.weights(.bf16, 1 << 19), kind: .chunk, dtype: .bf16)
        #expect(weights.stored < (1 << 20) * 3 / 4)
    }

    @Test func `the same bytes are stored once`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let transaction = try store.begin()
        let bytes = Array("same".utf8)
        #expect(try transaction.put(bytes, kind: .chunk).isNew)
        #expect(try !transaction.put(bytes, kind: .chunk).isNew)
        #expect(try !directory.store().begin().put(bytes, kind: .chunk).isNew)
        #expect(try store.list().count == 1)
        #expect(transaction.written.objects == 1)
    }

    @Test func `an object longer than its kind may be is refused`() throws {
        let directory = try TemporaryDirectory()
        let transaction = try directory.store().begin()
        let long = [UInt8](repeating: 0, count: ChunkPlan.grid + 1)
        #expect(failureCode { _ = try transaction.put(long, kind: .chunk) } == .unsupported)
        #expect(try transaction.put(long, kind: .manifest).isNew)
    }

    @Test func `a flip of any byte is found`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        var random = TestRandom(4)
        let bytes = random.weights(.bf16, 3000)
        let id = try store.begin().put(bytes, kind: .chunk, dtype: .bf16).id
        let path = store.objectPath(id)
        let original = try Data(contentsOf: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        let descriptor = open(path, O_RDWR)
        defer { close(descriptor) }
        for offset in 0..<original.count {
            var byte = original[offset] ^ UInt8.random(in: 1...255, using: &random)
            #expect(pwrite(descriptor, &byte, 1, off_t(offset)) == 1)
            let code = failureCode { _ = try store.get(id) }
            // The dtype byte is inside the checksum as well; a version byte is a newer format's.
            #expect(code == .corrupt || (code == .newerFormat && offset < 84), "offset \(offset)")
            byte = original[offset]
            #expect(pwrite(descriptor, &byte, 1, off_t(offset)) == 1)
        }
        #expect(try store.get(id) == bytes)
    }

    @Test func `files that were cut, extended, swapped or replaced are found`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        var random = TestRandom(5)
        let transaction = try store.begin()
        let id = try transaction.put(random.weights(.f32, 5000), kind: .chunk, dtype: .f32).id
        let other = try transaction.put(random.weights(.f32, 5000), kind: .chunk, dtype: .f32).id
        let path = store.objectPath(id)
        let original = try Data(contentsOf: URL(fileURLWithPath: path))
        for count in [0, 1, 83, 84, 100, original.count / 2, original.count - 1] {
            try damage(path) { $0 = Array($0.prefix(count)) }
            #expect(failureCode { _ = try store.get(id) } == .corrupt, "cut to \(count)")
            #expect(!store.contains(id))
            try original.write(to: URL(fileURLWithPath: path))
        }
        try damage(path) { $0.append(0) }
        #expect(failureCode { _ = try store.get(id) } == .corrupt)
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.copyItem(atPath: store.objectPath(other), toPath: path)
        #expect(failureCode { _ = try store.get(id) } == .corrupt)
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: store.objectPath(other))
        #expect(failureCode { _ = try store.get(id) } != nil)
        #expect(failureCode { _ = try store.stat(id) } == .corrupt)
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        #expect(failureCode { _ = try store.get(id) } != nil)
        try FileManager.default.removeItem(atPath: path)
        #expect(failureCode { _ = try store.get(id) } == .missing)
    }

    /// Changes the head of an object and gives it a right checksum again, as an attacker would.
    func forge(_ path: String, _ change: (inout [UInt8]) -> Void) throws {
        try damage(path) { file in
            change(&file)
            let frames = max(1, Int(file[8]) | Int(file[9]) << 8 | Int(file[10]) << 16) >> 20
            let end = 84 + (frames + 1) * Int(file[81]) * 9
            guard end + 4 <= file.count else { return }
            let checksum = file[..<end].withUnsafeBytes { crc32c($0) }
            for index in 0..<4 {
                file[end + index] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(index)))
            }
        }
    }

    @Test func `forged heads are refused, with newer features told apart`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let bytes = [UInt8](repeating: 65, count: 5000)
        let cases: [(String, CheckpointError.Code, (inout [UInt8]) -> Void)] = [
            ("version", .newerFormat, { $0[4] = 2 }),
            ("unknown kind", .newerFormat, { $0[5] = 77 }),
            ("representation", .newerFormat, { $0[6] = 2 }),
            ("a delta without a base", .corrupt, { $0[6] = 1 }),
            ("a base of a full object", .corrupt, { $0[60] = 1 }),
            ("encryption", .newerFormat, { $0[83] = 1 }),
            ("frame size", .newerFormat, { $0[82] = 30 }),
            ("unknown transform", .newerFormat, { $0[80] = 200 }),
            ("another name", .corrupt, { $0[16] ^= 1 }),
            ("a bomb", .corrupt, { $0[15] = 0x7F }),
            ("a longer frame than it has", .corrupt, { $0[8] &+= 1 }),
            ("a frame beyond the end", .corrupt, { $0[86] = 0xFF }),
            ("an impossible codec", .newerFormat, { $0[84] = 9 }),
            ("stored with another size", .corrupt, { $0[84] = 0 }),
        ]
        for (name, code, change) in cases {
            let id = try store.begin().put(bytes, kind: .chunk).id
            try forge(store.objectPath(id), change)
            #expect(failureCode { _ = try store.get(id) } == code, "\(name)")
            // Writing the same bytes heals it.
            #expect(try store.begin().put(bytes, kind: .chunk).isNew, "\(name)")
            #expect(try store.get(id) == bytes, "\(name)")
        }
    }

    @Test func `a newer store is refused and a broken FORMAT named`() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.store().root + "/FORMAT"
        try damage(path) { $0 = Array(#"{"store":"unlearnd","format":2}"#.utf8) }
        #expect(failureCode { _ = try directory.store() } == .newerFormat)
        try damage(path) { $0 = Array(#"{"store":"unlearnd","format":1,"read":["x"]}"#.utf8) }
        #expect(failureCode { _ = try directory.store() } == .newerFormat)
        try damage(path) { $0 = Array("{".utf8) }
        #expect(failureCode { _ = try directory.store() } == .corrupt)
    }

    @Test func `sweeping spares living transactions`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let living = try store.begin()
        _ = try living.put([1, 2, 3], kind: .blob)
        let left = store.root + "/staging/1-left"
        try FileManager.default.createDirectory(atPath: left, withIntermediateDirectories: false)
        try Data([1]).write(to: URL(fileURLWithPath: left + "/part"))
        #expect(try store.sweepStaging() == 1)
        _ = try living.put([4, 5, 6], kind: .blob)
        living.close()
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.root + "/staging").isEmpty)
    }

    @Test func `many threads may put the same and different objects`() async throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let transaction = try store.begin()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<8 {
                group.addTask {
                    var random = TestRandom(UInt64(worker % 2))
                    for _ in 0..<20 {
                        let bytes = random.bytes(2000)
                        let id = try transaction.put(bytes, kind: .chunk, dtype: .f32).id
                        #expect(try store.get(id) == bytes)
                    }
                }
            }
            try await group.waitForAll()
        }
        try transaction.sync()
        #expect(try store.list().count == 40)
    }

    @Test func `objects are read-only files and removable`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let id = try store.begin().put([9], kind: .blob).id
        let attributes = try FileManager.default.attributesOfItem(atPath: store.objectPath(id))
        #expect(attributes[.posixPermissions] as? Int == 0o444)
        #expect(try store.remove(id))
        #expect(try !store.remove(id))
        #expect(try store.stat(id) == nil)
    }
}
