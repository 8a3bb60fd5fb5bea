// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

@Suite struct EarlierRequestTests {
    private func figures(_ accuracy: Double?) -> EvaluationFigures {
        var figures = EvaluationFigures(accuracy: .token)
        figures.forgetAccuracy = accuracy
        return figures
    }

    /// A request whose job took the accuracy from `original` to `accepted`, and that a later job measured.
    private func request(
        _ job: Int, original: Double? = 0.9, accepted: Double? = 0.1, before: Double? = nil, after: Double?,
        reason: String? = nil
    ) throws -> EarlierRequest {
        let model = try #require(VersionReference("m@v2"))
        let digest = try #require(Digest(hex: String(repeating: "ab", count: 32)))
        let report = EvaluationReport(
            before: original.map { figures($0) }, after: accepted.map { figures($0) })
        var request = EarlierRequest(
            job: job, version: model, request: "4711", forget: digest, leaseEnds: Timestamp(milliseconds: 1),
            report: original == nil && accepted == nil ? nil : report, reason: reason)
        request.before = before.map { EarlierRequest.Figures(figures($0)) }
        if reason == nil { request.after = EarlierRequest.Figures(figures(after)) }
        return request
    }

    @Test func `half of what was taken away, and no more than a tenth, is a return`() throws {
        #expect(try request(1, after: 0.2).status == .forgotten)
        #expect(try request(1, after: 0.201).status == .returned)
        // Little was taken: half of it counts.
        #expect(try request(1, original: 0.5, accepted: 0.44, after: 0.47).status == .forgotten)
        #expect(try request(1, original: 0.5, accepted: 0.44, after: 0.48).status == .returned)
        // Nothing was taken: a rise that is more than noise counts.
        #expect(try request(1, original: 0.4, accepted: 0.4, after: 0.42).status == .forgotten)
        #expect(try request(1, original: 0.4, accepted: 0.4, after: 0.43).status == .returned)
        // Not measured when it was accepted: the later job's base stands for that.
        #expect(try request(1, original: nil, accepted: nil, before: 0.3, after: 0.4).forgotten == true)
        #expect(try request(1, original: nil, accepted: nil, before: 0.3, after: 0.41).forgotten == false)
        #expect(try request(1, after: nil).status == .notReverifiable)
        #expect(try request(1, after: 0, reason: "purged").status == .notReverifiable)
    }

    @Test func `the gate looks at what can be measured, or asks for all of it`() throws {
        func judge(_ gate: String, _ earlier: [EarlierRequest]) throws -> GateConditionVerdict {
            try #require(
                Gate.parse(gate).judge(before: nil, after: figures(0), earlier: earlier).conditions.first)
        }
        let (kept, back) = (try request(3, after: 0.1), try request(4, after: 0.9))
        let gone = try request(5, after: nil, reason: "the forget set was purged")
        for gate in ["earlier=forgotten", "earlier=verified"] {
            #expect(try judge(gate, []).passed)
            #expect(try judge(gate, []).measured == "no earlier request")
            #expect(try judge(gate, [kept]).passed)
            let refused = try judge(gate, [kept, back])
            #expect(!refused.passed && refused.measured == "returned")
            #expect(refused.by == "what job 4 had removed is back")
        }
        #expect(try judge("earlier=forgotten", [kept, gone]).passed)
        #expect(try judge("earlier=forgotten", [gone]).measured == "not re-verifiable")
        let strict = try judge("earlier=verified", [kept, gone])
        #expect(!strict.passed && strict.by == "job 5 cannot be measured again")
    }

    @Test func `it is written with what follows from it, and read back`() throws {
        let value = try JSONValue(encoding: request(3, before: 0.1, after: 0.9))
        #expect(value["status"] == "returned")
        #expect(value["forgotten"] == false)
        #expect(value["after"]?["forget_accuracy"] == 0.9)
        #expect(value["request"] == "4711")
        #expect(try value.decode(EarlierRequest.self, allowUnknown: true).status == .returned)
    }

    @Test(arguments: ["earlier", "earlier=gone", "earlier>=1", "earlier~0.1"])
    func `other rules are refused with the right one`(_ text: String) {
        let error = #expect(throws: GateError.self) { try Gate.parse(text) }
        #expect(error?.hint.contains("earlier=forgotten") == true)
    }
}
