// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

@Suite struct `Strict JSON` {
    @Test func `reads every kind of value`() throws {
        let value = try StrictJSON.parse(#" {"a": [1, -2.5e1, true, false, null, "xé\n😀"], "b": {}} "#)
        let expected: JSONValue = ["a": [1, -25.0, true, false, nil, "x\u{E9}\n\u{1F600}"], "b": [:]]
        #expect(value == expected)
    }

    @Test func `keeps integers exact and members in order`() throws {
        let value = try StrictJSON.parse(#"{"z":9223372036854775807,"a":-9223372036854775808,"m":1.0}"#)
        #expect(value.objectValue?.keys == ["z", "a", "m"])
        #expect(value["z"]?.integerValue == .max)
        #expect(value["a"]?.integerValue == .min)
        #expect(value["m"]?.integerValue == nil)
        #expect(value.serializedString() == #"{"z":9223372036854775807,"a":-9223372036854775808,"m":1.0}"#)
    }

    @Test(arguments: [
        "", " ", "{", "[1,]", "{\"a\":1,}", "{\"a\":1,\"a\":2}", "01", "+1", "1.", ".5", "1e", "nul", "NaN",
        "Infinity", "1 2",
        "\"\\x\"", "\"\\ud800\"", "\"\u{1}\"", "'a'", "[1 2]", "{a:1}", "// x\n1", "\u{FEFF}1", "\"abc",
    ])
    func `refuses what the grammar does not have`(_ text: String) {
        #expect(throws: StrictJSON.Failure.self) { try StrictJSON.parse(text) }
    }

    @Test(arguments: [
        [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xFF, 0x22],
        [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22],
    ])
    func `refuses text that is not UTF-8`(_ bytes: [UInt8]) {
        #expect(throws: StrictJSON.Failure.self) { try StrictJSON.parse(bytes) }
    }

    @Test func `bounds depth and numbers of values`() throws {
        let nested = String(repeating: "[", count: 65) + String(repeating: "]", count: 65)
        #expect(throws: StrictJSON.Failure.self) { try StrictJSON.parse(nested) }
        _ = try StrictJSON.parse(String(nested.dropFirst().dropLast()))
        #expect(throws: StrictJSON.Failure.self) { try StrictJSON.parse("[1,2,3]", limits: .init(values: 3)) }
        #expect(throws: StrictJSON.Failure.self) {
            try StrictJSON.parse("{\"a\":1,\"b\":2}", limits: .init(membersPerObject: 1))
        }
    }

    @Test func `writes what it reads`() throws {
        var state: UInt64 = 7
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        func value(_ depth: Int) -> JSONValue {
            switch random(depth > 0 ? 7 : 5) {
            case 0: return .null
            case 1: return .bool(random(2) == 0)
            case 2: return .integer(Int64(random(1 << 30)) - 1 << 29)
            case 3: return .number(Double(random(1 << 30)) / 3 + 0.1)
            case 4:
                let scalars = (0..<random(8)).compactMap { _ in Unicode.Scalar(UInt32(random(0x3000))) }
                return .string(String(String.UnicodeScalarView(scalars)))
            case 5: return .array((0..<random(5)).map { _ in value(depth - 1) })
            default:
                var object = JSONObject()
                for _ in 0..<random(5) { object["k\(random(1000))"] = value(depth - 1) }
                return .object(object)
            }
        }
        for _ in 0..<500 {
            let original = value(5)
            let bytes = original.serialized()
            #expect(!bytes.contains(0x0A))
            #expect(try StrictJSON.parse(bytes) == original)
        }
    }

    @Test func `writes a canonical form by the bytes of the keys`() {
        let value: JSONValue = ["b": 1, "ä": 2, "a": .number(.nan), "A": "\u{7F}\u{0}\""]
        #expect(value.serializedString(sortedKeys: true) == #"{"A":"\u007f\u0000\"","a":null,"b":1,"ä":2}"#)
    }

    @Test func `reads only the members that are wanted`() throws {
        let text =
            #" {"a": {"b": "]}\\\"", "c": [1, {"d": []}]}, "w": [1, {"x": "é"}], "e": -1.5e3, "f": null, "v": "\""} "#
        let whole = try StrictJSON.parse(text)
        for names in [["w", "v"], ["a"], ["e", "f"], [], ["nothing"], ["a", "w", "e", "f", "v"]] {
            let object = try StrictJSON.parse(Array(text.utf8), members: Set(names))
            #expect(object.keys == (whole.objectValue?.keys ?? []).filter(names.contains))
            for name in object.keys { #expect(object[name] == whole[name], "\(name)") }
        }
        #expect(try StrictJSON.parse(Array("{}".utf8), members: ["a"]).isEmpty)
        for text in [
            "", "[]", "1", "{", #"{"a"}"#, #"{"a":1"#, #"{"a":1 "b":2}"#, #"{"a":1}}"#, #"{"a":"x}"#,
            #"{"b":[1}"#,
            #"{"b":{"c":1}"#, #"{"a":1,"a":2}"#, #"{b:1}"#, #"{"a":1x}"#,
        ] {
            #expect(throws: StrictJSON.Failure.self, "\(text)") {
                try StrictJSON.parse(Array(text.utf8), members: ["a"])
            }
        }
    }
}
