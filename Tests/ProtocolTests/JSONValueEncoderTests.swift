// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import Testing

@Suite struct `Encoding messages` {
    /// What the general encoder makes of it, read back.
    private func general(_ value: some Encodable) throws -> JSONValue {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try StrictJSON.parse(Array(encoder.encode(value)))
    }

    private struct Numbers: Encodable {
        var doubles: [Double]
        var whole: [Int64]
        var natural: UInt64?
        var small: [UInt8] = [0, 255]
    }

    @Test(arguments: [
        0, -0.0, 1, -1, 0.1, 1e-7, 1.5e300, .leastNonzeroMagnitude, 123_456_789.25, 9_007_199_254_740_991,
        9_007_199_254_740_992,
        9_007_199_254_740_994, 1e15, 1e16, 1e17, -1e16, 3.0e10, .greatestFiniteMagnitude, 0x1p62, 0x1p63,
        0x1p64,
    ])
    func `spells numbers as the general encoder does`(_ number: Double) throws {
        let numbers = Numbers(doubles: [number], whole: [.min, .max, 0], natural: 1 << 53)
        #expect(try JSONValue(encoding: numbers).serialized() == general(numbers).serialized())
        #expect(try JSONValue(encoding: number).serialized() == general(number).serialized())
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity])
    func `refuses numbers that JSON has not`(_ number: Double) {
        #expect(throws: EncodingError.self) { try JSONValue(encoding: ["a": [number]]) }
    }

    @Test func `writes every message as the general encoder does`() throws {
        var spec = JobSpec(kind: .ascent, model: VersionReference("gpt2@v3"), parameters: JobParameters())
        spec.forget = Digest(bytes: [UInt8](repeating: 0xAB, count: 32))
        spec.seed = .max >> 1
        spec.after = [Dependency(job: 3, condition: .any)]
        spec.at = Timestamp(milliseconds: 1_700_000_000_250)
        spec.labels = ["ä": "b\u{2028}\"\\/", "a": "\u{1}", "a b": "", "Z": "z", "_": "1"]
        spec.parameters?.alpha = 0.25
        spec.parameters?.learningRate = 1e-5
        spec.parameters?.betas = [0.9, 1]
        spec.parameters?.refusals = []
        var job = Job(id: 7, spec: spec, state: .queued, submitter: 1000, created: Timestamp(milliseconds: 1))
        job.result = ["a": .object(JSONObject()), "rows": [1, 2.5, .null, ["a": [], "z": 1]]]
        #expect(try JSONValue(encoding: job).serialized() == general(job).serialized())
        let error = RPCError(.queueFull, "full", hint: "wait", retryAfter: 10)
        #expect(try JSONValue(encoding: error).serialized() == general(error).serialized())
        #expect(
            try JSONValue(encoding: [String: Int]()).serialized() == general([String: Int]()).serialized())
        #expect(
            try JSONValue(encoding: [[1], []] as [[Int?]]).serialized()
                == general([[1], []] as [[Int?]]).serialized())
    }

    @Test func `keeps members of a JSON value in their own order`() throws {
        let value: JSONValue = ["z": 1, "a": 2]
        #expect(try JSONValue(encoding: value).objectValue?.keys == ["z", "a"])
        let job = Job(
            id: 1, spec: JobSpec(kind: .verify), state: .queued, submitter: 0,
            created: Timestamp(milliseconds: 0))
        let keys = try #require(try JSONValue(encoding: job).objectValue?.keys)
        #expect(keys == keys.sorted() && keys.count > 20)
    }
}
