// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

import unlearnd

@Suite(.timeLimit(.minutes(3)))
struct CandidateTests {
    /// A model whose head is v1 and whose v2 to v5 are candidates.
    private func prepared(_ rules: CandidateRules) async throws -> World {
        let world = try World(candidates: rules)
        await world.control.start()
        try await world.model("m")
        let result = try await world.control.sweep(
            JobSweepParams(
                spec: try World.spec("m", note: "b"),
                axes: [SweepAxis(parameter: "seed", values: [1, 2, 3, 4])]),
            peer: World.user)
        for job in result.jobs { _ = try await world.end(of: job.id) }
        return world
    }

    private func gone(_ world: World) async throws -> [String] {
        try await world.control.history(ModelHistoryParams(model: try World.reference("m").model)).filter(
            \.gone
        ).map(
            \.version.description)
    }

    @Test func `the oldest candidates go, and all else stays`() async throws {
        let world = try await prepared(CandidateRules(depth: 2, days: 0))
        let planned = try await world.control.gc(dryRun: true, peer: World.user)
        #expect(planned.expired.map(\.description) == ["m@v3", "m@v2"])
        #expect(try await gone(world).isEmpty)
        let done = try await world.control.gc(dryRun: false, peer: World.user)
        #expect(done.expired == planned.expired)
        #expect(try await gone(world) == ["v2", "v3"])
        #expect(try await world.control.gc(dryRun: false, peer: World.user).expired.isEmpty)
        let audit = try await world.control.auditLog(AuditLogParams())
        #expect(audit.filter { $0.action == "version.expire" }.map { $0.body["version"] } == ["v3", "v2"])
        #expect(try await world.control.auditVerify().valid)
        let error = await #expect(throws: RPCError.self) {
            _ = try await world.control.promote(
                PromoteParams(version: try World.reference("m@v2"), reason: "late"), peer: World.user)
        }
        #expect(error?.kind == .gone)
        #expect(
            try await world.control.model(ModelShowParams(model: try World.reference("m").model)).summary
                .candidates == 2)
        await world.control.shutdown()
    }

    @Test func `young candidates stay however many there are`() async throws {
        let world = try await prepared(CandidateRules(depth: 0, days: 7))
        #expect(try await world.control.gc(dryRun: false, peer: World.user).expired.isEmpty)
        await world.control.shutdown()
    }

    @Test func `what a head, another version or a waiting job needs stays`() async throws {
        let world = try await prepared(CandidateRules(depth: 0, days: 0))
        // v2 becomes head and is left again: it was in use. v3 gets a child that becomes head. v4 is named by a job.
        for version in ["m@v2", "m@v1", "m@v3"] {
            _ = try await world.control.promote(
                PromoteParams(version: try World.reference(version), reason: "test"), peer: World.user)
        }
        let child = try await world.end(of: try await world.submit("m@v3", note: "c"))
        #expect(child.version?.description == "v6")
        _ = try await world.submit("m@v4", note: "b") { $0.hold = true }
        #expect(
            try await world.control.gc(dryRun: false, peer: World.user).expired.map(\.description) == ["m@v5"]
        )
        #expect(try await gone(world) == ["v5"])
        await world.control.shutdown()
    }

    @Test func `what people keep stays until they let it go`() async throws {
        let world = try await prepared(CandidateRules(depth: 0, days: 0))
        let control = world.control
        let root = Peer(uid: 0, gid: 0, pid: 0, role: .admin)
        let soon = Timestamp(milliseconds: Timestamp.now.milliseconds + 1000)
        let held = try await control.hold(
            HoldParams(version: try World.reference("m@v2"), reason: "Case of Ann"), peer: World.user)
        #expect(held.hold?.reason == "Case of Ann" && held.hold?.who == Int(World.user.uid))
        _ = try await control.hold(
            HoldParams(version: try World.reference("m@v3"), reason: "short", until: soon), peer: World.user)
        _ = try await control.tag(
            TagParams(version: try World.reference("m@v4"), tag: "release"), peer: World.user)
        // A tag that is set again moves.
        _ = try await control.tag(
            TagParams(version: try World.reference("m@v5"), tag: "release"), peer: World.user)
        #expect(try await control.gc(dryRun: false, peer: World.user).expired.map(\.description) == ["m@v4"])
        try await Task.sleep(for: .milliseconds(soon.milliseconds - Timestamp.now.milliseconds + 1))
        #expect(try await control.gc(dryRun: false, peer: World.user).expired.map(\.description) == ["m@v3"])
        _ = try await control.unhold(try World.reference("m@v2"), peer: root)
        _ = try await control.tag(
            TagParams(version: try World.reference("m@v5"), tag: "release", remove: true), peer: World.user)
        #expect(
            try await control.gc(dryRun: false, peer: World.user).expired.map(\.description)
                == ["m@v5", "m@v2"])
        let audit = try await control.auditLog(AuditLogParams())
        #expect(audit.filter { $0.action == "model.hold" }.count == 2)
        #expect(!audit.contains { $0.body.serializedString().contains("Ann") })
        #expect(try await control.auditVerify().valid)
        await control.shutdown()
    }

    @Test(arguments: ["v7", "", "a b", "../x"])
    func `what is no tag is refused`(_ tag: String) async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let error = await #expect(throws: RPCError.self) {
            _ = try await world.control.tag(
                TagParams(version: try World.reference("m@v1"), tag: tag), peer: World.user)
        }
        #expect(error?.field == "tag")
        await world.control.shutdown()
    }

    @Test func `a hold names a version, a reason and a time to come`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let past = Timestamp(milliseconds: 1000)
        for (version, reason, until, field) in [
            ("m", "why", nil, "version"), ("m@v1", " ", nil, "reason"), ("m@v1", "why", past, "until"),
        ] as [(String, String, Timestamp?, String)] {
            let error = await #expect(throws: RPCError.self) {
                _ = try await world.control.hold(
                    HoldParams(version: try World.reference(version), reason: reason, until: until),
                    peer: World.user)
            }
            #expect(error?.field == field)
        }
        await world.control.shutdown()
    }

    @Test func `tidying does the same without being asked`() async throws {
        let world = try await prepared(CandidateRules(depth: 1, days: 0))
        await world.control.tidyVersions()
        #expect(try await gone(world) == ["v2", "v3", "v4"])
        await world.control.shutdown()
    }
}
