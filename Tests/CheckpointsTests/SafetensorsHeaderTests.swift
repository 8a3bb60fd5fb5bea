// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Testing

/// Hostile and odd headers. Each is a whole file.
struct SafetensorsHeaderTests {
    static func read(_ file: [UInt8], limits: SafetensorsHeader.Limits = .init()) throws -> SafetensorsHeader
    {
        let length = try SafetensorsHeader.length(
            file, fileSize: file.count, path: "x.safetensors", limits: limits)
        return try SafetensorsHeader(
            json: Array(file[8..<8 + length]), fileSize: file.count, path: "x.safetensors", limits: limits)
    }

    static func one(_ fields: String, data: Int = 4) -> [UInt8] {
        TestTensor.rawFile(#"{"t":{\#(fields)}}"#, [UInt8](repeating: 0, count: data))
    }

    static let refused: [(String, [UInt8])] = [
        ("an empty file", []),
        ("seven bytes", [1, 0, 0, 0, 0, 0, 0]),
        ("an empty header", TestTensor.length(0)),
        ("a length beyond the file", TestTensor.length(3) + Array("{}".utf8)),
        ("a length of 2^63", TestTensor.length(1 << 63) + Array("{}".utf8)),
        ("a length of 2^64-1", TestTensor.length(.max) + Array("{}".utf8)),
        ("a length of 0xFFFFFF00…", TestTensor.length(0xFFFF_FF00_0000_0000) + Array("{}".utf8)),
        ("a length of 100000001", TestTensor.length(100_000_001) + Array("{}".utf8)),
        ("a length above the configured cap", TestTensor.length(33 << 20) + Array("{}".utf8)),
        ("data cut short by one byte", one(#""dtype":"F32","shape":[1],"data_offsets":[0,4]"#, data: 3)),
        ("a byte after the last tensor", one(#""dtype":"F32","shape":[1],"data_offsets":[0,4]"#, data: 5)),
        ("an archive appended", TestTensor.rawFile("{}", Array("PK\u{3}\u{4}".utf8))),
        ("an array", TestTensor.rawFile("[]")),
        ("a string", TestTensor.rawFile(#""x""#)),
        ("a number", TestTensor.rawFile("1")),
        ("two documents", TestTensor.rawFile("{}{}")),
        ("bytes after the object", TestTensor.rawFile("{} x")),
        ("NUL padding", TestTensor.rawFile("{}\u{0}\u{0}")),
        ("a byte order mark", TestTensor.rawFile([0xEF, 0xBB, 0xBF] + Array("{}".utf8))),
        (
            "invalid UTF-8",
            TestTensor.rawFile(Array(#"{"__metadata__":{"a":""#.utf8) + [0xFF] + Array(#""}}"#.utf8))
        ),
        (
            "overlong UTF-8",
            TestTensor.rawFile(Array(#"{"__metadata__":{"a":""#.utf8) + [0xC0, 0x80] + Array(#""}}"#.utf8))
        ),
        ("a lone surrogate", TestTensor.rawFile(#"{"__metadata__":{"a":"\ud800"}}"#)),
        ("a tensor twice", twice(#""a""#, #""a""#)),
        ("a tensor twice, once escaped", twice(#""a""#, #""\u0061""#)),
        ("a repeated dtype", one(#""dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]"#)),
        ("a repeated shape", one(#""dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]"#)),
        ("repeated offsets", one(#""dtype":"F32","shape":[1],"data_offsets":[0,4],"data_offsets":[0,4]"#)),
        ("repeated metadata", TestTensor.rawFile(#"{"__metadata__":{},"__metadata__":{}}"#)),
        ("a repeated metadata key", TestTensor.rawFile(#"{"__metadata__":{"a":"1","a":"1"}}"#)),
        ("an unknown member", one(#""dtype":"F32","shape":[1],"data_offsets":[0,4],"strides":[1]"#)),
        ("deep nesting", TestTensor.rawFile(String(repeating: "[", count: 100_000))),
        ("a fraction", one(#""dtype":"F32","shape":[1.0],"data_offsets":[0,4]"#)),
        ("an exponent", one(#""dtype":"U8","shape":[1e2],"data_offsets":[0,100]"#, data: 100)),
        ("minus zero", one(#""dtype":"F32","shape":[1],"data_offsets":[-0,4]"#)),
        ("a negative dimension", one(#""dtype":"F32","shape":[-1],"data_offsets":[0,4]"#)),
        ("a leading zero", one(#""dtype":"F32","shape":[01],"data_offsets":[0,4]"#)),
        (
            "an integer that a double rounds",
            one(#""dtype":"U8","shape":[0,9007199254740993],"data_offsets":[0,0]"#, data: 0)
        ),
        (
            "an integer of 2^64",
            one(#""dtype":"U8","shape":[0,18446744073709551616],"data_offsets":[0,0]"#, data: 0)
        ),
        (
            "an integer above 2^48",
            one(#""dtype":"U8","shape":[0,281474976710657],"data_offsets":[0,0]"#, data: 0)
        ),
        ("a null shape", one(#""dtype":"F32","shape":null,"data_offsets":[0,4]"#)),
        ("a boolean dimension", one(#""dtype":"F32","shape":[true],"data_offsets":[0,4]"#)),
        ("a string offset", one(#""dtype":"F32","shape":[1],"data_offsets":["0",4]"#)),
        ("metadata that is a list", TestTensor.rawFile(#"{"__metadata__":[]}"#)),
        ("metadata with a number", TestTensor.rawFile(#"{"__metadata__":{"a":1}}"#)),
        ("an empty name", TestTensor.rawFile(#"{"":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#)),
        (
            "a name of 4097 bytes",
            TestTensor.rawFile(
                #"{"\#(String(repeating: "n", count: 4097))":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#
            )
        ),
        ("an overlap by one byte", pair("[0,4]", "[3,7]", data: 7)),
        ("identical ranges", pair("[0,4]", "[0,4]", data: 4)),
        ("a nested range", pair("[0,8]", "[2,6]", data: 8)),
        ("a hole between tensors", pair("[0,4]", "[5,9]", data: 9)),
        ("a hole before the first", pair("[1,5]", "[5,9]", data: 9)),
        ("an end before the begin", one(#""dtype":"F32","shape":[1],"data_offsets":[4,0]"#)),
        ("an offset beyond the data", one(#""dtype":"F32","shape":[1],"data_offsets":[8,12]"#)),
        ("an end of 2^64-1", one(#""dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]"#)),
        ("no offsets", one(#""dtype":"F32","shape":[1],"data_offsets":[]"#)),
        ("one offset", one(#""dtype":"F32","shape":[1],"data_offsets":[0]"#)),
        ("three offsets", one(#""dtype":"F32","shape":[1],"data_offsets":[0,4,4]"#)),
        ("missing offsets", one(#""dtype":"F32","shape":[1]"#)),
        ("too few bytes for the shape", one(#""dtype":"F32","shape":[1000,1000],"data_offsets":[0,4]"#)),
        ("too many bytes for the shape", one(#""dtype":"F32","shape":[1],"data_offsets":[0,8]"#, data: 8)),
        (
            "a shape that overflows",
            one(#""dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]"#)
        ),
        (
            "an overflow hidden by a zero",
            one(#""dtype":"F32","shape":[0,281474976710656,281474976710656],"data_offsets":[0,0]"#, data: 0)
        ),
        (
            "65 dimensions",
            one(#""dtype":"U8","shape":\#([Int](repeating: 1, count: 65)),"data_offsets":[0,1]"#, data: 1)
        ),
        ("half a byte of F4", one(#""dtype":"F4","shape":[1],"data_offsets":[0,1]"#, data: 1)),
        ("F6 that does not fill bytes", one(#""dtype":"F6_E2M3","shape":[2],"data_offsets":[0,2]"#, data: 2)),
        ("an unknown dtype", one(#""dtype":"F12","shape":[1],"data_offsets":[0,4]"#)),
        ("a lower-case dtype", one(#""dtype":"f32","shape":[1],"data_offsets":[0,4]"#)),
        ("an aliased dtype", one(#""dtype":"BFloat16","shape":[2],"data_offsets":[0,4]"#)),
    ]

    static func twice(_ a: String, _ b: String) -> [UInt8] {
        let tensor = #"{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#
        return TestTensor.rawFile("{\(a):\(tensor),\(b):\(tensor)}")
    }

    static func pair(_ a: String, _ b: String, data: Int) -> [UInt8] {
        func tensor(_ range: String) -> String {
            let ends = range.dropFirst().dropLast().split(separator: ",").compactMap { Int($0) }
            return #"{"dtype":"U8","shape":[\#(ends[1] - ends[0])],"data_offsets":\#(range)}"#
        }
        return TestTensor.rawFile(
            #"{"a":\#(tensor(a)),"b":\#(tensor(b))}"#, [UInt8](repeating: 0, count: data))
    }

    @Test(arguments: refused)
    func `a header that breaks a rule is refused`(name: String, file: [UInt8]) {
        #expect(failureCode { _ = try Self.read(file) } == .invalidInput, "\(name)")
    }

    static let accepted: [(String, [UInt8], Int)] = [
        ("an empty object with spaces", TestTensor.rawFile("{}      "), 0),
        ("white space on both sides", TestTensor.rawFile(" \t\r\n{} \t\r\n"), 0),
        ("a scalar", one(#""dtype":"F32","shape":[],"data_offsets":[0,4]"#), 1),
        ("an empty tensor", one(#""dtype":"F32","shape":[2,0],"data_offsets":[0,0]"#, data: 0), 1),
        ("an empty tensor that shares an offset", pair("[0,4]", "[4,4]", data: 4), 2),
        ("an empty tensor before another", pair("[0,4]", "[0,0]", data: 4), 2),
        ("tensors out of order", pair("[4,8]", "[0,4]", data: 8), 2),
        (
            "a name like a path",
            TestTensor.rawFile(#"{"../x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#), 1
        ),
        (
            "a name with a control character",
            TestTensor.rawFile(#"{"a\u0000\n":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#), 1
        ),
        ("two F4 elements", one(#""dtype":"F4","shape":[2],"data_offsets":[0,1]"#, data: 1), 1),
        ("four F6 elements", one(#""dtype":"F6_E3M2","shape":[4],"data_offsets":[0,3]"#, data: 3), 1),
        (
            "a megabyte of metadata",
            TestTensor.rawFile(#"{"__metadata__":{"a":"\#(String(repeating: "<b>", count: 350_000))"}}"#), 0
        ),
        ("an odd header length", TestTensor.file([TestTensor("t", .f32, [1], [0, 0, 0, 0])], padding: 3), 1),
    ]

    @Test(arguments: accepted)
    func `an odd but legal header is read`(name: String, file: [UInt8], tensors: Int) throws {
        #expect(try Self.read(file).tensors.count == tensors, "\(name)")
    }

    @Test func `every dtype of the format is known with its width`() throws {
        for dtype in DType.allCases {
            let file = TestTensor.file([TestTensor("t", dtype, [8], [UInt8](repeating: 0, count: dtype.bits))]
            )
            #expect(try Self.read(file).tensors.first?.dtype == dtype)
        }
        #expect(DType.allCases.count == 22)
    }

    @Test func `the error names the tensor and tames its name`() throws {
        let file = TestTensor.rawFile(
            #"{"evil\u001b[31m":{"dtype":"F32","shape":[1],"data_offsets":[0,3]}}"#, [0, 0, 0])
        let error = try #require(throws: CheckpointError.self) { _ = try Self.read(file) }
        #expect(error.message.contains("evil\\u{1b}"))
        #expect(!error.message.unicodeScalars.contains("\u{1b}"))
    }

    @Test func `a raised limit admits a longer header`() throws {
        let file = TestTensor.rawFile("{}" + String(repeating: " ", count: 100))
        #expect(failureCode { _ = try Self.read(file, limits: .init(bytes: 64)) } == .invalidInput)
        #expect(try Self.read(file, limits: .init(bytes: 102)).tensors.isEmpty)
    }

    @Test func `random bytes never crash the reader`() {
        var random = TestRandom(11)
        let seed = TestTensor.file([TestTensor("ab", .f32, [2, 1], [UInt8](repeating: 7, count: 8))])
        var refused = 0
        for _ in 0..<20_000 {
            var file = seed
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                file[Int.random(in: 0..<file.count, using: &random)] = UInt8.random(
                    in: 0...255, using: &random)
            }
            if failureCode({ _ = try Self.read(file) }) != nil { refused += 1 }
        }
        #expect(refused > 10_000)
    }
}
