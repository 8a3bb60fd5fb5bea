// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import Glibc
import Protocol
import Testing

/// Imports that are meant to cost memory, time or sense: refused in time, or taken byte for byte and not looked into.
@Suite(.timeLimit(.minutes(5)))
struct HostileImportTests {
    private static func empty(_ count: Int) -> [UInt8] {
        let entries = (0..<count).map { #""\#($0)":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"# }
        return TestTensor.rawFile("{" + entries.joined(separator: ",") + "}")
    }

    @Test func `empty tensors cost nothing in the file and are counted all the same`() throws {
        let limits = SafetensorsHeader.Limits(tensors: 8)
        #expect(try SafetensorsHeaderTests.read(Self.empty(8), limits: limits).tensors.count == 8)
        #expect(
            failureCode { _ = try SafetensorsHeaderTests.read(Self.empty(10), limits: limits) }
                == .invalidInput)
    }

    @Test func `a header of very many tensors on the same bytes is refused in time`() throws {
        var header = "{"
        header.reserveCapacity(32 << 20)
        for index in 0..<400_000 {
            header += #""\#(index)":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
        }
        header.removeLast()
        header += "}"
        let file = TestTensor.rawFile(header, [0, 0, 0, 0])
        #expect(file.count < 32 << 20)
        let began = ContinuousClock.now
        #expect(failureCode { _ = try SafetensorsHeaderTests.read(file) } == .invalidInput)
        // Seconds even on a machine that does much else; to compare each with each would be hours.
        #expect(ContinuousClock.now - began < .seconds(60))
    }

    @Test func `an index has a greatest size and a greatest number of entries`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let name = "model.safetensors.index.json"
        let long = CheckpointImportTests.index([("a", "model-1.safetensors"), ("b", "model-2.safetensors")])
        let tooLong = long + [UInt8](repeating: 0x20, count: ShardIndex.limit + 1 - long.count)
        #expect(tooLong.count == ShardIndex.limit + 1)
        var tooMany = Array(#"{"weight_map":{"#.utf8)
        for index in 0...1_000_000 { tooMany += Array(#""\#(index)":"m","#.utf8) }
        tooMany.removeLast()
        tooMany += Array("}}".utf8)
        #expect(tooMany.count < ShardIndex.limit)
        for index in [tooLong, tooMany] {
            let contents = CheckpointImportTests.shards + [(name, index)]
            #expect(failureCode { _ = try store.take(contents) } == .invalidInput)
        }
        #expect(try store.list().isEmpty)
    }

    @Test func `an index of weights that are not there does not gainsay that of those that are`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let contents =
            CheckpointImportTests.shards + [
                (
                    "model.safetensors.index.json",
                    CheckpointImportTests.index(
                        [("a", "model-1.safetensors"), ("b", "model-2.safetensors")])
                ),
                ("pytorch_model.bin.index.json", CheckpointImportTests.index([("a", "../../etc/passwd")])),
            ]
        let result = try store.take(contents)
        #expect(result.manifest.tensors.map(\.name) == ["a", "b"])
        try CheckpointImportTests.expectSame(store, result.manifestID, contents)
    }

    @Test func `files of other kinds are taken as they are, whatever is in them`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        var random = TestRandom(4)
        // A pickle that would call os.system, the head of an archive that names a path outside, one that states
        // terabytes, and arrays.
        let pickle = Array("cos\nsystem\n(S'touch /tmp/pickle-was-run'\ntR.".utf8)
        let contents = [
            config, ("model.safetensors", CheckpointImportTests.weights()), ("optimizer.pkl", pickle),
            ("training_args.joblib", pickle), ("arrays.npz", Array("PK\u{3}\u{4}../../evil".utf8)),
            ("bomb.zip", Array("PK\u{3}\u{4}".utf8) + [UInt8](repeating: 0xFF, count: 64)),
            ("array.npy", [0x93] + Array("NUMPY".utf8) + random.bytes(100)),
            ("model.tflite", random.bytes(3000)), ("a\u{202e}nosj.txt", Array("x".utf8)),
        ]
        let result = try store.take(contents)
        try CheckpointImportTests.expectSame(store, result.manifestID, contents)
        #expect(access("/tmp/pickle-was-run", F_OK) != 0)
    }

    @Test func `names have their lengths and files their number`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let parts = [String](repeating: String(repeating: "p", count: 250), count: 7)
        for name in [
            String(repeating: "c", count: 256),
            parts.joined(separator: "/") + "/" + String(repeating: "q", count: 2400),
        ] {
            let contents = [config, ("model.safetensors", CheckpointImportTests.weights()), (name, [1])]
            #expect(failureCode { _ = try store.take(contents) } == .invalidInput, "\(name.utf8.count)")
        }
        let good = try OpenedFiles(directory, [config])
        let many = (0...100_000).map { ImportFile(path: "f\($0)", descriptor: good.files[0].descriptor) }
        #expect(
            failureCode { _ = try CheckpointImporter.import(files: many, store: store) } == .unsupported)
        #expect(try store.list().isEmpty)
    }

    @Test(arguments: ["PK\u{3}\u{4}", "%PDF-1.7\n", "#!/bin/sh\n"])
    func `what is something else in front is no safetensors file`(prefix: String) {
        let file = Array(prefix.utf8) + CheckpointImportTests.weights()
        #expect(failureCode { _ = try SafetensorsHeaderTests.read(file) } == .invalidInput)
    }

    /// A header as the format allows it, or spoiled in one place of its grammar.
    private static func header(_ random: inout TestRandom) -> (text: String, data: Int) {
        func pick<T>(_ values: [T]) -> T { values[Int.random(in: 0..<values.count, using: &random)] }
        let types = [
            ("U8", 8), ("F32", 32), ("BF16", 16), ("F4", 4), ("F64", 64), ("BOOL", 8), ("F6_E2M3", 6),
        ]
        var entries: [String] = []
        var end = 0
        for index in 0..<Int.random(in: 0...6, using: &random) {
            let (type, bits) = pick(types)
            var shape = (0..<Int.random(in: 0...3, using: &random)).map { _ in pick([0, 1, 2, 4, 8]) }
            if bits < 8 { shape.append(8) }
            let size = shape.reduce(1, *) * bits / 8
            var fields = [
                #""dtype":"\#(type)""#, #""shape":\#(shape)"#, #""data_offsets":[\#(end),\#(end + size)]"#,
            ]
            end += size
            if Int.random(in: 0..<12, using: &random) == 0 {
                let place = Int.random(in: 0..<3, using: &random)
                fields[place] = pick([
                    "", fields[place] + "," + fields[place], #""x":1"#, #""shape":[-1]"#, #""shape":[1e9]"#,
                    #""shape":[281474976710656,281474976710656]"#, #""data_offsets":[4,0]"#,
                    #""data_offsets":[0,18446744073709551615]"#, #""data_offsets":[0]"#, #""dtype":"F12""#,
                    #""dtype":null"#, #""shape":[[1]]"#, #""shape":"1""#,
                ])
            }
            fields.shuffle(using: &random)
            entries.append(
                #""\#(pick(["t", "t", "a\\u0000", "é"]))\#(index % 5)":{\#(fields.filter { !$0.isEmpty }.joined(separator: ","))}"#
            )
        }
        if Int.random(in: 0..<3, using: &random) == 0 {
            entries.append(
                pick([#""__metadata__":{"format":"pt"}"#, #""__metadata__":{"a":1}"#, #""__metadata__":[]"#]))
        }
        entries.shuffle(using: &random)
        let tail = pick(["", "", " ", "\n\t", "x", "\u{0}", "}"])
        return ("{" + entries.joined(separator: ",") + "}" + tail, end + pick([0, 0, 0, 0, 0, 1, -1]))
    }

    @Test func `whatever header comes is refused with a reason, or means just the bytes that are there`()
        throws
    {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        var random = TestRandom(23)
        var taken = 0
        let rounds = 4000
        for round in 0..<rounds {
            let (text, count) = Self.header(&random)
            let file = TestTensor.rawFile(text, random.bytes(max(0, count)).prefix(max(0, count)).map { $0 })
            let header: SafetensorsHeader
            do { header = try SafetensorsHeaderTests.read(file) } catch let error as CheckpointError {
                #expect(error.code == .invalidInput && !error.message.isEmpty, "\(text)")
                continue
            }
            taken += 1
            // What was accepted covers the data once, in order, and every tensor has the bytes that its shape needs.
            var end = header.size
            for tensor in header.tensors {
                #expect(tensor.offset == end, "\(text)")
                #expect(tensor.size * 8 == tensor.shape.reduce(tensor.dtype.bits, *), "\(text)")
                end += tensor.size
            }
            #expect(end == file.count, "\(text)")
            guard round % 20 == 0 else { continue }
            let contents = [config, ("model.safetensors", file)]
            try CheckpointImportTests.expectSame(store, try store.take(contents).manifestID, contents)
        }
        // Both happen often.
        #expect(taken > rounds / 20 && taken < rounds - rounds / 20, "\(taken)")
    }
}
