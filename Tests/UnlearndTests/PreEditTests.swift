// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

import unlearnd

/// Which versions count as what there was before an edit, and which of them go.
@Suite(.timeLimit(.minutes(3)))
struct PreEditTests {
    /// So few days that every test is over them.
    private static let soon = 1e-9

    /// A model whose v1 was imported and whose v2 an unlearning job made of it.
    private func prepared(days: Double? = soon) async throws -> World {
        let world = try World(preEditDays: days)
        await world.control.start()
        try await world.model("m")
        _ = try await world.end(of: try await world.submit("m", note: "b"))
        return world
    }

    private func expired(_ world: World) async throws -> [String] {
        let planned = try await world.control.gc(dryRun: true, peer: World.user)
        let done = try await world.control.gc(dryRun: false, peer: World.user)
        #expect(done.expiredPreEdit == planned.expiredPreEdit && done.objects == planned.objects)
        return done.expiredPreEdit.map(\.description)
    }

    private func classes(_ world: World) async throws -> [VersionClass?] {
        try await world.control.history(ModelHistoryParams(model: try World.reference("m").model)).map(
            \.retention)
    }

    private func promote(_ world: World, _ version: String) async throws {
        _ = try await world.control.promote(
            PromoteParams(version: try World.reference(version), reason: "test"), peer: World.user)
    }

    @Test func `what an accepted job has replaced goes, and nothing else`() async throws {
        let world = try await prepared()
        #expect(try await classes(world) == [.preEdit, nil])
        // A refused result has replaced nothing.
        _ = try await world.end(of: try await world.submit("m@v1", note: "c"))
        #expect(try await classes(world) == [.preEdit, nil, .candidate])
        #expect(try await expired(world) == ["m@v1"])
        #expect(try await classes(world) == [nil, nil, .candidate])
        #expect(try await expired(world).isEmpty)
        await world.control.shutdown()
    }

    @Test func `by default every version stays`() async throws {
        let world = try await prepared(days: nil)
        #expect(try await expired(world).isEmpty)
        #expect(try await classes(world) == [.preEdit, nil])
        await world.control.shutdown()
    }

    @Test func `a rollback makes it the head, and moves by hand do not make others of the class`()
        async throws
    {
        let world = try await prepared()
        try await promote(world, "m@v1")
        // v2 was made from v1, not the other way round.
        #expect(try await classes(world) == [nil, nil])
        #expect(try await expired(world).isEmpty)
        try await promote(world, "m@v2")
        #expect(try await expired(world) == ["m@v1"])
        await world.control.shutdown()
    }

    @Test func `what another import or a finetuning has replaced stays`() async throws {
        let world = try World(preEditDays: Self.soon)
        await world.control.start()
        try await world.model("m")
        try await world.model("m")
        #expect(try await classes(world) == [nil, nil])
        #expect(try await expired(world).isEmpty)
        await world.control.shutdown()
    }

    @Test func `what is held, tagged or named by a waiting job stays until it is let go`() async throws {
        let world = try await prepared()
        let control = world.control
        let reference = try World.reference("m@v1")
        _ = try await control.hold(HoldParams(version: reference, reason: "case"), peer: World.user)
        #expect(try await expired(world).isEmpty)
        _ = try await control.unhold(reference, peer: Peer(uid: 0, gid: 0, pid: 0, role: .admin))
        _ = try await control.tag(TagParams(version: reference, tag: "release"), peer: World.user)
        #expect(try await expired(world).isEmpty)
        _ = try await control.tag(
            TagParams(version: reference, tag: "release", remove: true), peer: World.user)
        let waiting = try await world.submit("m@v1", note: "c") { $0.hold = true }
        #expect(try await expired(world).isEmpty)
        _ = try await control.cancel(JobCancelParams(job: waiting), peer: World.user)
        #expect(try await expired(world) == ["m@v1"])
        #expect(try await control.auditVerify().valid)
        await control.shutdown()
    }

    @Test func `in a long line each goes a time after it was replaced`() async throws {
        let world = try await prepared(days: 1)
        for note in ["c", "b"] { _ = try await world.end(of: try await world.submit("m", note: note)) }
        #expect(try await classes(world) == [.preEdit, .preEdit, .preEdit, nil])
        let expires = try await world.control.history(
            ModelHistoryParams(model: try World.reference("m").model)
        ).map(\.expires)
        let times = expires.compactMap { $0?.milliseconds }
        #expect(times.count == 3 && times == times.sorted() && expires.last == .some(nil))
        #expect(times.allSatisfy { abs($0 - Timestamp.now.milliseconds - 86_400_000) < 60_000 })
        #expect(try await expired(world).isEmpty)
        await world.control.shutdown()
    }
}
