// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

import unlearnd

@Suite(.timeLimit(.minutes(2)))
struct SubmitTests {
    /// What a specification is, and the member that its refusal names.
    private static let refused: [(String, RPCError.Kind, String?)] = [
        (#"{"kind":"ascent","model":"m"}"#, .invalidParams, "spec.forget"),
        (#"{"kind":"ascent","model":"m","forget":"F"}"#, .invalidParams, "spec.retain"),
        (
            #"{"kind":"ascent","model":"m","forget":"F","retain":"F","parameters":{"epochs":0}}"#,
            .invalidParams, "spec.parameters.epochs"
        ),
        (
            #"{"kind":"ascent","model":"m","forget":"F","retain":"F","parameters":{"alpha":1.5}}"#,
            .invalidParams, "spec.parameters.alpha"
        ),
        (
            #"{"kind":"ascent","model":"m","forget":"F","retain":"F","parameters":{"learning_rate":0}}"#,
            .invalidParams, "spec.parameters.learning_rate"
        ),
        (
            #"{"kind":"ascent","model":"m","forget":"F","retain":"F","parameters":{"batch_size":0}}"#,
            .invalidParams, "spec.parameters.batch_size"
        ),
        (
            #"{"kind":"ascent","model":"m","forget":"F","retain":"F","parameters":{"max_length":1}}"#,
            .invalidParams, "spec.parameters.max_length"
        ),
        (
            #"{"kind":"ascent","model":"m","forget":"F","retain":"F","parameters":{"scale":1}}"#,
            .invalidParams, "spec.parameters.scale"
        ),
        (
            #"{"kind":"ascent","model":"m","forget":"F","retain":"F","gate":"forget=bad"}"#, .invalidParams,
            "spec.gate"
        ),
        (
            #"{"kind":"ascent","model":"m","forget":"F","retain":"F","gate":"privacy=minimal"}"#,
            .invalidParams, "spec.gate"
        ),
        (
            #"{"kind":"ascent","model":"m","forget":"F","retain":"F","gate":"forget=good","evaluate":false}"#,
            .invalidParams, "spec.gate"
        ),
        (
            #"{"kind":"ascent","model":"m","forget":"F","retain":"F","priority":101}"#, .invalidParams,
            "spec.priority"
        ),
        (#"{"kind":"ascent","model":"m","forget":"E","retain":"F"}"#, .notFound, "spec.forget"),
        (#"{"kind":"ascent","model":"x","forget":"F","retain":"F"}"#, .notFound, "spec.model"),
        (#"{"kind":"ascent","model":"m@v7","forget":"F","retain":"F"}"#, .notFound, "spec.model"),
        (
            #"{"kind":"ascent","model":"m","forget":"L","retain":"F","parameters":{"batch_size":1}}"#,
            .badInput, "spec.retain"
        ),
        (
            #"{"kind":"ascent","model":"m","forget":"F","retain":"F","after":[{"job":99,"condition":"ok"}]}"#,
            .notFound, "spec.after"
        ),
        (#"{"kind":"finetune","model":"m"}"#, .invalidParams, "spec.retain"),
        (#"{"kind":"task-vector","model":"m"}"#, .invalidParams, "spec.parameters.finetuned"),
        (
            #"{"kind":"task-vector","model":"m","parameters":{"finetuned":"x"}}"#, .notFound,
            "spec.parameters.finetuned"
        ),
        (#"{"kind":"evaluate","model":"m"}"#, .invalidParams, "spec.forget"),
        (
            #"{"kind":"import","model":"m@v1","parameters":{"transfer":"transfer"}}"#, .invalidParams,
            "spec.model"
        ),
        (#"{"kind":"import","model":"m"}"#, .invalidParams, "spec.parameters.transfer"),
        (#"{"kind":"import","model":"z","parameters":{"transfer":"other"}}"#, .notFound, nil),
        (#"{"kind":"create","model":"m","parameters":{"transfer":"transfer"}}"#, .conflict, "spec.model"),
        (#"{"kind":"verify","model":"m"}"#, .invalidParams, "spec.model"),
        (#"{"kind":"tokenize","model":"m"}"#, .invalidParams, "spec.parameters.text"),
        (
            #"{"kind":"generate","model":"m","forget":"F","parameters":{"prompt":""}}"#, .invalidParams,
            "spec.forget"
        ),
        (
            #"{"kind":"ascent","model":"m","forget":"F","retain":"F","parameters":{"batch_size":65536,"max_length":1048576}}"#,
            .insufficientMemory, nil
        ),
    ]

    @Test func `a submission that breaks a rule is refused with the member that does`() async throws {
        let world = try World(memoryLimit: 1 << 30)
        await world.control.start()
        try await world.model("m")
        let row = #"{"input_ids": [1, 2, 3]}"#
        let small = try await world.control.putDataset(Array(row.utf8), name: nil, peer: World.user)
        let long = String(repeating: row + "\n", count: 9)
        let large = try await world.control.putDataset(Array(long.utf8), name: nil, peer: World.user)
        let text = String(repeating: "a", count: 2 << 20)
        let wide = try await world.control.putDataset(
            Array(#"{"text": "\#(text)"}"#.utf8), name: nil, peer: World.user)
        for (number, (source, kind, field)) in Self.refused.enumerated() {
            var source =
                source
                .replacing(#""L""#, with: "\"\(large.dataset)\"")
                .replacing(#""E""#, with: "\"\(String(repeating: "e", count: 64))\"")
            source = source.replacing(
                #""F""#, with: "\"\(kind == .insufficientMemory ? wide.dataset : small.dataset)\"")
            let spec: JobSpec = try StrictJSON.parse(source).decode()
            for isDryRun in [true, false] where !(isDryRun && field == nil && kind == .notFound) {
                let error = await #expect(throws: RPCError.self, "\(number): \(source)") {
                    try await world.control.submit(
                        JobSubmitParams(spec: spec, dryRun: isDryRun), peer: World.user)
                }
                #expect(
                    error?.kind == kind && error?.field == field,
                    "\(number): \(source): \(String(describing: error))")
            }
        }
        #expect(try await world.control.jobs(JobListParams(all: true)).count == 1)
        await world.control.shutdown()
    }

    @Test func `a dry run estimates and makes nothing`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let rows = String(repeating: #"{"input_ids": [1, 2, 3]}"# + "\n", count: 10)
        let data = try await world.control.putDataset(Array(rows.utf8), name: nil, peer: World.user)
        let spec = try World.spec("m", as: .ascent, note: "") {
            $0.forget = data.dataset
            $0.retain = data.dataset
            $0.parameters = World.parameters { $0.epochs = 2 }
        }
        let result = try await world.control.submit(
            JobSubmitParams(spec: spec, dryRun: true), peer: World.user)
        #expect(
            result.job == nil && result.estimate.steps == 6 && result.estimate.memory > 0
                && result.estimate.disk > 0)
        #expect(result.warnings.count == 1)
        #expect(try await world.control.jobs(JobListParams()).count == 1)
        await world.control.shutdown()
    }

    @Test func `a key names one job`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let spec = try World.spec("m", note: "b") { $0.key = "request-1" }
        let results = try await withThrowingTaskGroup(of: JobSubmitResult.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    try await world.control.submit(JobSubmitParams(spec: spec), peer: World.user)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(results.map(\.job?.id)).count == 1)
        #expect(results.filter { !$0.existing }.count == 1)
        var other = spec
        other.priority = 3
        let error = await #expect(throws: RPCError.self) {
            try await world.control.submit(JobSubmitParams(spec: other), peer: World.user)
        }
        #expect(error?.kind == .conflict && error?.field == "spec.key")
        let stranger = Peer(uid: 1001, gid: 1, pid: 1, role: .operator_)
        #expect(
            try await world.control.submit(JobSubmitParams(spec: other), peer: stranger).existing == false)
        await world.control.shutdown()
    }

    @Test func `a user has so many jobs at a time; others and administrators are not held back`() async throws
    {
        let world = try World(userJobs: 2)
        await world.control.start()
        try await world.model("m")
        _ = try await world.control.setPaused(true, peer: World.user)
        func submit(_ peer: Peer, _ note: String) async throws -> JobID? {
            let spec = try World.spec("m", note: note)
            return try await world.control.submit(JobSubmitParams(spec: spec), peer: peer).job?.id
        }
        let first = try #require(try await submit(World.user, "a"))
        _ = try await submit(World.user, "b")
        let refusal = await #expect(throws: RPCError.self) { try await submit(World.user, "c") }
        #expect(refusal?.kind == .queueFull)
        #expect(refusal?.message.contains("has 2 jobs waiting or running; 2 are allowed") == true)
        #expect(try await submit(Peer(uid: 1001, gid: 1, pid: 1, role: .operator_), "d") != nil)
        #expect(try await submit(Peer(uid: 0, gid: 0, pid: 1, role: .admin), "e") != nil)
        _ = try await world.control.cancel(JobCancelParams(job: first), peer: World.user)
        _ = try await submit(World.user, "f")
        // The cancelled one would be the third again.
        let retried = await #expect(throws: RPCError.self) {
            try await world.control.retry(first, peer: World.user)
        }
        #expect(retried?.kind == .queueFull)
        #expect(try await world.control.job(first).state == .cancelled)
        // A limit may change while the daemon runs.
        try await world.control.apply(
            ControlConfiguration(stateDirectory: "/nowhere", userJobs: 3), changed: JSONObject())
        #expect(try await world.control.retry(first, peer: World.user).state == .queued)
        await #expect(throws: RPCError.self) { try await submit(World.user, "g") }
        await world.control.shutdown()
    }

    @Test func `datasets are checked, kept once and found by the beginning of their id`() async throws {
        let world = try World()
        let error = await #expect(throws: RPCError.self) {
            try await world.control.putDataset(
                Array("{\"text\": \"a\"}\n{\"txet\": 1}".utf8), name: "f.jsonl", peer: World.user)
        }
        #expect(error?.kind == .badInput && error?.message.contains("f.jsonl, line 2") == true)
        let bytes = Array("{\"text\": \"a\"}\n\n{\"text\": \"b\"}\n".utf8)
        let first = try await world.control.putDataset(bytes, name: nil, peer: World.user)
        let second = try await world.control.putDataset(bytes, name: "other", peer: World.user)
        #expect(first == second && first.rows == 2 && first.bytes == Int64(bytes.count))
        #expect(try await world.control.dataset(String(first.dataset.hex.prefix(8))) == first)
        #expect(try await world.control.dataset(id: first.dataset) == first)
        #expect(try await world.control.datasets() == [first])
        await #expect(throws: RPCError.self) { try await world.control.dataset("abc") }
        await #expect(throws: RPCError.self) { try await world.control.dataset("%%%%%%%%") }
        await world.control.shutdown()
    }
}
