// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

@Suite struct `Decoding requests` {
    private func failure<T: Decodable>(_ type: T.Type, _ text: String) throws -> JSONValueDecoder.Failure? {
        let value = try StrictJSON.parse(text)
        do {
            _ = try value.decode(type)
            return nil
        } catch { return error }
    }

    @Test func `names the member that is unknown`() throws {
        let text = #"{"spec":{"kind":"ascent","model":"m","parameters":{"learning_rat":1}}}"#
        let failure = try #require(try failure(JobSubmitParams.self, text))
        #expect(failure.field == "spec.parameters.learning_rat")
    }

    @Test(arguments: [
        (#"{"spec":{"kind":"ascnt","model":"m"}}"#, "spec.kind", "did you mean \"ascent\"?"),
        (
            #"{"spec":{"kind":"ascent","model":"m","parameters":{"precision":"x"}}}"#,
            "spec.parameters.precision", "known: bf16, f32"
        ),
        (
            #"{"spec":{"kind":"attack","model":"m","attacks":["probe","promt"]}}"#, "spec.attacks.[1]",
            "did you mean \"prompt\"?"
        ),
    ])
    func `names the choice that is unknown, and what there is`(
        _ text: String, _ field: String, _ remedy: String
    )
        throws
    {
        let failure = try #require(try failure(JobSubmitParams.self, text))
        #expect(failure.field == field)
        #expect(failure.reason.hasSuffix(remedy), "\(failure.reason)")
    }

    @Test func `ignores unknown members where answers may grow`() throws {
        let value = try StrictJSON.parse(#"{"time":"2026-01-31T12:00:00.000Z","later":1}"#)
        #expect(try value.decode(PingResult.self, allowUnknown: true).time.milliseconds == 1_769_860_800_000)
        #expect(throws: JSONValueDecoder.Failure.self) { try value.decode(PingResult.self) }
    }

    @Test(arguments: [
        (#"{"job":"7"}"#, "job"), (#"{"job":7.5}"#, "job"), (#"{"job":1e3}"#, "job"),
        (#"{"job":99999999999999999999}"#, "job"),
        (#"{"job":null}"#, "job"), (#"{}"#, "job"), (#"{"job":true}"#, "job"),
    ])
    func `names the member that has the wrong type`(_ text: String, _ field: String) throws {
        #expect(try #require(try failure(JobParams.self, text)).field == field)
    }

    @Test(arguments: ["a b", "", "-m", "m@v0", "m@2", "m@v01", "../m", "m@v1@v2"])
    func `refuses names that break the rule`(_ name: String) throws {
        #expect(try failure(VersionParams.self, "{\"version\":\"\(name)\"}") != nil)
    }

    @Test func `brings every message back as it was`() throws {
        var spec = JobSpec(kind: .ascent, model: VersionReference("gpt2@v3"), parameters: JobParameters())
        spec.forget = Digest(bytes: [UInt8](repeating: 0xAB, count: 32))
        spec.gate = "forget=good"
        spec.seed = .max >> 1
        spec.after = [Dependency(job: 3, condition: .any)]
        spec.at = Timestamp(milliseconds: 1_700_000_000_250)
        spec.labels = ["a": "b"]
        spec.parameters?.alpha = 0.25
        spec.parameters?.pairing = .cycle
        let job = Job(id: 7, spec: spec, state: .queued, submitter: 1000, created: Timestamp(milliseconds: 1))
        #expect(try JSONValue(encoding: job).decode(Job.self) == job)
        let params = JobSubmitParams(spec: spec, dryRun: true)
        #expect(try JSONValue(encoding: params).decode(JobSubmitParams.self) == params)
        let hello = Hello(
            server: .init(name: "unlearnd", version: "1"), instance: "i", capabilities: ["fd"], fdSocket: "/s"
        )
        #expect(try JSONValue(encoding: hello).decode(Hello.self) == hello)
    }

    @Test func `writes what is absent in a job as null`() throws {
        let job = Job(id: 1, spec: JobSpec(kind: .verify), state: .queued, submitter: 0, created: .now)
        let value = try JSONValue(encoding: job)
        for name in [
            "model", "base", "version", "head_moved", "head_reason", "gate", "evaluation", "training",
            "error",
        ] {
            #expect(value[name] == .null)
        }
    }

    @Test func `writes a figure that is not a number as null`() throws {
        var figures = EvaluationFigures(accuracy: .token)
        figures.forgetLoss = .nan
        figures.retainLoss = .infinity
        let value = try JSONValue(encoding: figures)
        #expect(value["forget_loss"] == .null)
        #expect(value["retain_loss"] == .null)
    }
}
