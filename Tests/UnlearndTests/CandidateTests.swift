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
        try await world.control.history(try World.reference("m").model).filter(\.gone).map(
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
        #expect(try await world.control.model(try World.reference("m").model).summary.candidates == 2)
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

    @Test func `tidying does the same without being asked`() async throws {
        let world = try await prepared(CandidateRules(depth: 1, days: 0))
        await world.control.tidyCandidates()
        #expect(try await gone(world) == ["v2", "v3", "v4"])
        await world.control.shutdown()
    }
}
