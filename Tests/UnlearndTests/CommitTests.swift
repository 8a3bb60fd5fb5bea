// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

import unlearnd

@Suite(.timeLimit(.minutes(3)))
struct CommitTests {
    private let forget = Array("{\"input_ids\": [1, 2, 3]}\n".utf8)

    @Test func `a commit moves the head and writes everything down in order`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let job = try await world.submit("m", note: "b")
        let end = try await world.end(of: job)
        #expect(end.error == nil)
        #expect(end.base == VersionNumber(1) && end.version == VersionNumber(2) && end.headMoved == true)
        #expect(end.digest == world.versions["b"]?.digest)
        #expect(end.warnings.count == 1 && end.warnings[0].contains("no gate"))
        let types = try await world.events(of: job).map(\.type)
        #expect(types == [.submitted, .state, .snapshot, .edit, .state, .version, .head, .state])
        let detail = try await world.control.model(ModelShowParams(model: try World.reference("m").model))
        #expect(detail.summary.head == VersionNumber(2) && detail.history.count == 2)
        #expect(detail.moves.map(\.to) == [VersionNumber(1), VersionNumber(2)])
        #expect(detail.moves.last?.why == "job \(job)")
        #expect(detail.files.map(\.path) == ["config.json", "model.safetensors"])
        let audit = try await world.control.auditLog(AuditLogParams())
        #expect(audit.suffix(3).map(\.action) == ["job.submit", "version.commit", "head.move"])
        #expect(try await world.control.auditVerify().valid)
        await world.control.shutdown()
    }

    @Test(arguments: [("good-b", true), ("bad-b", false)])
    func `the gate decides whether the version becomes head`(_ note: String, _ passes: Bool) async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let data = try await world.control.putDataset(forget, name: "f.jsonl", peer: World.user)
        let job = try await world.submit("m", note: note) {
            $0.forget = data.dataset
            $0.retain = data.dataset
            $0.gate = "forget=good,retain>=0.9"
        }
        let end = try await world.end(of: job)
        #expect(end.state == .succeeded && end.gate?.passed == passes && end.headMoved == passes)
        #expect(end.headReason == (passes ? nil : "gate-refused"))
        #expect(end.evaluation?.after?.retainAccuracy == 0.95)
        let history = try await world.control.history(
            ModelHistoryParams(model: try World.reference("m").model))
        #expect(history.map(\.candidate) == [false, !passes])
        #expect(history.map(\.head) == [!passes, passes])
        if !passes {
            let move = try await world.control.promote(
                PromoteParams(version: try World.reference("m@v2"), reason: "seen by hand"), peer: World.user)
            #expect(move.from == VersionNumber(1) && move.to == VersionNumber(2))
            let now = try await world.control.history(
                ModelHistoryParams(model: try World.reference("m").model))
            #expect(now.map(\.candidate) == [false, false])
        }
        await world.control.shutdown()
    }

    @Test func `a head that moved meanwhile is left where it is`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let first = try await world.submit("m", note: "c")
        _ = try await world.end(of: first)
        // Bound to v2, which stops being head while the job runs.
        let job = try await world.submit("m", note: "later-b")
        try await world.reach(job) { $0 == .running }
        let back = try await world.control.rollback(
            RollbackParams(model: try World.reference("m").model, to: try #require(VersionNumber(1))),
            peer: World.user)
        #expect(back.undone == [first])
        _ = try world.directory.write("", "go")
        let end = try await world.end(of: job)
        #expect(end.state == .succeeded && end.headMoved == false && end.headReason == "base-not-head")
        #expect(end.version == VersionNumber(3))
        #expect(
            try await world.control.model(ModelShowParams(model: try World.reference("m").model)).summary.head
                == VersionNumber(1))
        await world.control.shutdown()
    }

    @Test func `a named base that is not head makes a candidate`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        _ = try await world.end(of: try await world.submit("m", note: "b"))
        let end = try await world.end(of: try await world.submit("m@v1", note: "c") { $0.gate = nil })
        #expect(end.base == VersionNumber(1) && end.headReason == "base-not-head")
        let same = try await world.end(of: try await world.submit("m@v2", note: "b"))
        #expect(same.state == .failed && same.reason == "no-op")
        await world.control.shutdown()
    }

    @Test func `a rollback costs nothing, names what it undoes and can be undone`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let jobs = [try await world.submit("m", note: "b"), try await world.submit("m", note: "c")]
        for job in jobs { _ = try await world.end(of: job) }
        let model = try World.reference("m").model
        func to(_ number: Int) throws -> RollbackParams {
            RollbackParams(model: model, to: try #require(VersionNumber(number)))
        }
        let move = try await world.control.rollback(try to(1), peer: World.user)
        #expect(move.from == VersionNumber(3) && move.undone == jobs)
        let same = try await world.control.rollback(try to(1), peer: World.user)
        #expect(same.from == same.to && same.undone.isEmpty)
        #expect(try await world.control.rollback(try to(3), peer: World.user).undone.isEmpty)
        let error = await #expect(throws: RPCError.self) {
            try await world.control.rollback(try to(9), peer: World.user)
        }
        #expect(error?.kind == .notFound)
        #expect(try await world.control.model(ModelShowParams(model: model)).moves.count == 5)
        await world.control.shutdown()
    }

    @Test func `garbage goes and what versions need stays`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        // The checkpoints b and c are in the store and no version's.
        let plan = try await world.control.gc(dryRun: true, peer: World.user)
        #expect(plan.objects > 0)
        let done = try await world.control.gc(dryRun: false, peer: World.user)
        #expect(done.objects == plan.objects && done.bytes == plan.bytes)
        #expect(try await world.control.gc(dryRun: true, peer: World.user).objects == 0)
        let status = try await world.control.storeStatus()
        #expect(
            status.versions == 1 && status.models == 1 && status.garbageObjects == 0 && status.freeBytes > 0)
        let lost = try await world.end(of: try await world.submit("m", note: "b"))
        #expect(lost.state == .failed && lost.reason == "integrity")
        #expect(
            try await world.control.history(ModelHistoryParams(model: try World.reference("m").model)).count
                == 1)
        await world.control.shutdown()
    }
}
