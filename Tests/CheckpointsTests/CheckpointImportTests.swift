// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import Protocol
import Testing

struct CheckpointImportTests {
    static func weights(_ seed: UInt64 = 1, _ names: [String] = ["a", "b"]) -> [UInt8] {
        var random = TestRandom(seed)
        return TestTensor.file(names.map { TestTensor($0, .bf16, [16, 8], &random) })
    }

    static func index(_ map: [(String, String)], total: Int? = nil) -> [UInt8] {
        let entries = map.map { #""\#($0.0)":"\#($0.1)""# }.joined(separator: ",")
        let metadata = total.map { #""metadata":{"total_size":\#($0)},"# } ?? ""
        return Array("{\(metadata)\"weight_map\":{\(entries)}}".utf8)
    }

    static let shards = [
        ("model-1.safetensors", weights(1, ["a"])), ("model-2.safetensors", weights(2, ["b"])), config,
    ]

    /// Exports everything again and compares.
    static func expectSame(_ store: ObjectStore, _ id: Digest, _ contents: [(String, [UInt8])]) throws {
        let reader = try CheckpointReader(store: store, manifestID: id)
        let directory = try TemporaryDirectory()
        #expect(Set(reader.manifest.files.map(\.path)) == Set(contents.map(\.0)))
        for (name, bytes) in contents {
            let index = try #require(reader.file(name))
            let path = directory.path + "/out-\(index)"
            let descriptor = open(path, O_RDWR | O_CREAT, 0o600)
            defer { close(descriptor) }
            try CheckpointExporter.write(file: index, of: reader, to: descriptor)
            #expect(try Array(Data(contentsOf: URL(fileURLWithPath: path))) == bytes, "\(name)")
            #expect(try reader.readFile(name) == bytes, "\(name)")
        }
        try reader.verifyAll()
    }

    @Test func `what is imported is exported byte for byte`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        var random = TestRandom(9)
        let tensors = [
            TestTensor("big", .f32, [4_300_000], &random), TestTensor("tiny.1", .bf16, [7], &random),
            TestTensor("tiny.2", .i64, [3], &random), TestTensor("none", .f32, [0, 4], []),
            TestTensor("middle", .bf16, [300_000], &random), TestTensor("packed", .f4, [6], &random),
            TestTensor("last", .f8e4m3, [11], &random),
        ]
        let contents = [
            ("model.safetensors", TestTensor.file(tensors, padding: 5)), config, ("empty.txt", []),
            ("sub/tokenizer.json", random.bytes(100_000)),
        ]
        let result = try store.take(contents)
        try Self.expectSame(store, result.manifestID, contents)
        let reader = try CheckpointReader(store: store, manifestID: result.manifestID)
        for tensor in tensors {
            #expect(try reader.readTensor(tensor.name) == tensor.bytes, "\(tensor.name)")
        }
        // Any range of any tensor.
        let big = try #require(reader.tensor(named: "big"))
        for range in [0..<1, 3..<17, (16 << 20) - 5..<(16 << 20) + 9, 17_199_990..<17_200_000, 5..<5] {
            var part = [UInt8](repeating: 0, count: range.count)
            try part.withUnsafeMutableBytes { try reader.read(big, bytes: range, into: $0) }
            #expect(part == Array(tensors[0].bytes[range]))
        }
        #expect(
            reader.manifest.files.map(\.path) == [
                "config.json", "empty.txt", "model.safetensors", "sub/tokenizer.json",
            ])
        #expect(try Manifest(serialized: result.manifest.serialized()) == result.manifest)
    }

    @Test func `importing again adds nothing, and threads change nothing`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let first = try store.take(Self.shards, threads: 1)
        let second = try store.take(Self.shards, threads: 4)
        #expect(second.newObjects == 0 && second.storedBytes == 0)
        #expect(second.manifestID == first.manifestID)
        #expect(second.manifest.versionDigest == first.manifest.versionDigest)
    }

    @Test func `tensors are shared across shards, names and headers`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        var random = TestRandom(5)
        let bytes = random.weights(.f32, 200_000)
        let one = [("model.safetensors", TestTensor.file([TestTensor("x", .f32, [200_000], bytes)])), config]
        let two = [
            (
                "other.safetensors",
                TestTensor.file([TestTensor("renamed", .f32, [2, 100_000], bytes)], padding: 9)
            ),
            config,
        ]
        _ = try store.take(one)
        // The new header and the new manifest.
        #expect(try store.take(two).newObjects == 2)
    }

    @Test func `the version digest is over paths, sizes and hashes only`() throws {
        let directory = try TemporaryDirectory()
        let result = try directory.store().take([("model.safetensors", Self.weights()), config])
        var text: [UInt8] = []
        for file in [config, ("model.safetensors", Self.weights())] {
            text += Array("\(file.0)\u{0}\(file.1.count)\u{0}\(ContentHash.of(file.1).hex)\n".utf8)
        }
        #expect(result.manifest.versionDigest == ContentHash.of(text))
    }

    @Test func `an index that agrees is accepted`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let index = Self.index([("a", "model-1.safetensors"), ("b", "model-2.safetensors")], total: 512)
        let result = try store.take(Self.shards + [("model.safetensors.index.json", index)])
        #expect(result.warnings.isEmpty)
    }

    static let refusedIndexes: [(String, [UInt8])] =
        [
            "../x.safetensors", "/etc/passwd", "a/../../b", "a\\\\b", "C:model-1.safetensors",
            "https://x/model-1.safetensors", "", ".", "..", "model-1.safetensors.", "model-1.safetensors ",
            "model-1.safetensors\\u0000", "%2e%2e%2fx", "missing.safetensors", "config.json",
        ].map { ("shard \($0)", index([("a", $0), ("b", "model-2.safetensors")])) } + [
            ("the wrong shard", index([("a", "model-2.safetensors"), ("b", "model-2.safetensors")])),
            (
                "a tensor that no shard has",
                index([("a", "model-1.safetensors"), ("c", "model-2.safetensors")])
            ),
            ("a repeated key", index([("a", "model-1.safetensors"), ("a", "model-1.safetensors")])),
            ("no weight map", Array("{}".utf8)),
            ("a list", Array("[]".utf8)),
            ("a number for a shard", Array(#"{"weight_map":{"a":1}}"#.utf8)),
        ]

    @Test(arguments: refusedIndexes)
    func `an index that disagrees or points elsewhere is refused`(name: String, index: [UInt8]) throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let contents = Self.shards + [("model.safetensors.index.json", index)]
        #expect(failureCode { _ = try store.take(contents) } == .invalidInput, "\(name)")
        #expect(try store.list().isEmpty)
    }

    @Test func `oddities of an index are warnings`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let index = Self.index([("a", "model-1.safetensors")], total: 5)
        let result = try store.take(Self.shards + [("model.safetensors.index.json", index)])
        #expect(result.warnings.contains { $0.contains("total size") })
        #expect(result.warnings.contains { $0.contains("model-2.safetensors") })
    }

    static let refusedDirectories: [(String, CheckpointError.Code, [(String, [UInt8])])] = [
        ("no config", .invalidInput, [("model.safetensors", weights())]),
        ("no weights", .invalidInput, [config]),
        ("a pickle", .unsupported, [config, ("model.safetensors", weights()), ("pytorch_model.bin", [1])]),
        ("a GGUF file", .unsupported, [config, ("model.safetensors", weights()), ("x.GGUF", [1])]),
        (
            "a tensor in two files", .invalidInput,
            [config, ("a.safetensors", weights()), ("b.safetensors", weights())]
        ),
        ("a path twice", .invalidInput, [config, config, ("a.safetensors", weights())]),
        (
            "shards that differ in case", .invalidInput,
            [config, ("a.safetensors", weights(1, ["a"])), ("A.safetensors", weights(1, ["b"]))]
        ),
        (
            "shards that differ in normal form", .invalidInput,
            [config, ("\u{e9}.safetensors", weights(1, ["a"])), ("e\u{301}.safetensors", weights(1, ["b"]))]
        ),
        ("a parent path", .invalidInput, [config, ("../a.safetensors", weights())]),
        ("an absolute path", .invalidInput, [config, ("/a.safetensors", weights())]),
        ("an empty component", .invalidInput, [config, ("a//b.safetensors", weights())]),
        ("a dot component", .invalidInput, [config, ("./a.safetensors", weights())]),
        ("a deep path", .invalidInput, [config, ("1/2/3/4/5/6/7/8/a.safetensors", weights())]),
        ("a newline in a path", .invalidInput, [config, ("a\n.safetensors", weights())]),
        (
            "a file that is a directory too", .invalidInput,
            [config, ("a.safetensors", weights()), ("config.json/x", [])]
        ),
        ("a broken shard", .invalidInput, [config, ("a.safetensors", Array(weights().dropLast()))]),
    ]

    @Test(arguments: refusedDirectories)
    func `a directory that breaks a rule is refused before anything is stored`(
        name: String, code: CheckpointError.Code, contents: [(String, [UInt8])]
    ) throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        #expect(failureCode { _ = try store.take(contents) } == code, "\(name)")
        #expect(try store.list().isEmpty)
    }

    @Test func `other weights and caches are left out on request, with a warning`() throws {
        let directory = try TemporaryDirectory()
        let contents = [
            config, ("model.safetensors", Self.weights()), ("pytorch_model.bin", [1]), (".git/HEAD", [1]),
            ("pytorch_model.bin.index.json", Array("{}".utf8)),
        ]
        let result = try directory.store().take(contents, skipOtherWeights: true)
        #expect(result.manifest.files.map(\.path) == ["config.json", "model.safetensors"])
        #expect(result.warnings.count == 3)
    }

    @Test func `only regular files are taken`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let device = open("/dev/zero", O_RDONLY)
        let folder = open(directory.path, O_RDONLY)
        defer { for descriptor in ends + [device, folder] { close(descriptor) } }
        let good = try OpenedFiles(directory, [config, ("a.safetensors", Self.weights())])
        for descriptor in [ends[0], device, folder] {
            let files = good.files + [ImportFile(path: "b.safetensors", descriptor: descriptor)]
            #expect(
                failureCode { _ = try CheckpointImporter.import(files: files, store: store) } == .invalidInput
            )
        }
        let closed = good.files + [ImportFile(path: "b.json", descriptor: 1 << 20)]
        #expect(failureCode { _ = try CheckpointImporter.import(files: closed, store: store) } == .ioFailure)
    }

    @Test func `a file that changes during the import is refused`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let path = try directory.write(Self.weights(), "w")
        for change in ["append", "shrink", "rewrite"] {
            try Data(Self.weights()).write(to: URL(fileURLWithPath: path))
            let good = try OpenedFiles(directory, [config])
            let descriptor = open(path, O_RDWR)
            defer { close(descriptor) }
            let files = good.files + [ImportFile(path: "a.safetensors", descriptor: descriptor)]
            var first = true
            let code = failureCode {
                _ = try CheckpointImporter.import(files: files, store: store) { _, _ in
                    if !first { return }
                    first = false
                    switch change {
                    case "append": _ = ftruncate(descriptor, 100_000)
                    case "shrink": _ = ftruncate(descriptor, 10)
                    default:
                        usleep(20_000)
                        _ = pwrite(descriptor, "x", 1, 400)
                    }
                }
            }
            #expect(code == .sourceChanged, "\(change)")
        }
    }

    @Test func `progress can cancel and leaves no staging behind`() throws {
        struct Cancelled: Error {}
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let opened = try OpenedFiles(directory, Self.shards)
        #expect(throws: Cancelled.self) {
            _ = try CheckpointImporter.import(files: opened.files, store: store) { done, _ in
                if done > 0 { throw Cancelled() }
            }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.root + "/staging").isEmpty)
    }

    @Test func `manifests that contradict themselves are refused`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let text = String(decoding: try store.take(Self.shards).manifest.serialized(), as: UTF8.self)
        let changes: [(String, String, CheckpointError.Code)] = [
            (#""schema":1"#, #""schema":2"#, .newerFormat), (#""flags":[]"#, #""flags":["x"]"#, .newerFormat),
            (#""path":"config.json""#, #""path":"../config.json""#, .corrupt),
            (#""path":"config.json""#, #""path":"z.json""#, .corrupt),
            (#""path":"model-2"#, #""path":"model-1"#, .corrupt), (#""name":"b""#, #""name":"a""#, .corrupt),
            (#""shape":[16,8]"#, #""shape":[16,9]"#, .corrupt),
            (#""dtype":"BF16""#, #""dtype":"F12""#, .corrupt),
            (#""file":1"#, #""file":9"#, .corrupt), (#""n":256"#, #""n":257"#, .corrupt),
            (#""n":256"#, #""n":0"#, .corrupt), (#""mode":"#, #""mode":4"#, .corrupt),
            (#""first_region":1"#, #""first_region":0"#, .corrupt), (#"{"files""#, #"{ "files""#, .corrupt),
            (#""parent":null"#, #""parent":"x""#, .corrupt), (#""planner":"blob-v1","#, "", .corrupt),
        ]
        for (old, new, code) in changes {
            let changed = text.replacingOccurrences(of: old, with: new)
            #expect(changed != text, "\(old)")
            #expect(
                failureCode { _ = try Manifest(serialized: Array(changed.utf8)) } == code, "\(old) → \(new)")
        }
    }

    @Test func `vectors of the reference library are read as they are`() throws {
        let folder = "data/vectors/safetensors"
        guard SharedData.exists(folder) else {
            print("skipped: \(SharedData.root)/\(folder) is not there")
            return
        }
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let expected: [String: (DType, [Int])] = [
            "tensor-1d-int32": (.i32, [3]), "tensor-2d-float64": (.f64, [2, 3]),
            "tensor-3d-float32": (.f32, [2, 2, 3]), "tensor-4d-float32": (.f32, [2, 3, 1, 3]),
        ]
        for (name, (dtype, shape)) in expected {
            let url = URL(fileURLWithPath: "\(SharedData.root)/\(folder)/\(name).safetensors")
            let contents = [("v.safetensors", Array(try Data(contentsOf: url))), config]
            let result = try store.take(contents)
            #expect(
                result.manifest.tensors.first?.dtype == dtype && result.manifest.tensors.first?.shape == shape
            )
            try Self.expectSame(store, result.manifestID, contents)
        }
    }

    @Test func `a real model comes back byte for byte and smaller`() throws {
        let folder = "models/tofu-tiny/full"
        guard SharedData.exists(folder) else {
            print("skipped: \(SharedData.root)/\(folder) is not there")
            return
        }
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let root = SharedData.root + "/" + folder
        let opened = try OpenedFiles(root)
        let result = try CheckpointImporter.import(files: opened.files, store: store)
        let contents = try opened.files.map {
            ($0.path, Array(try Data(contentsOf: URL(fileURLWithPath: root + "/" + $0.path))))
        }
        try Self.expectSame(store, result.manifestID, contents)
        #expect(result.storedBytes < result.manifest.size)
    }
}
