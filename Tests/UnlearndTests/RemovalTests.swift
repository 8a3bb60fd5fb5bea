// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import GRDB
import Protocol
import Testing

import unlearnd

@Suite(.timeLimit(.minutes(3)))
struct RemovalTests {
    private static let admin = Peer(uid: 0, gid: 0, pid: 1, role: .admin)

    /// m@v1 (a), m@v2 (b), its head, and other@v1, which has the bytes of m@v1.
    private func prepared(_ directory: TemporaryDirectory? = nil) async throws -> World {
        let world = try World(directory: directory)
        await world.control.start()
        try await world.model("m")
        let end = try await world.end(of: try await world.submit("m", note: "b"))
        #expect(end.version?.description == "v2" && end.headMoved == true, "\(end)")
        try await world.model("other")
        return world
    }

    private func remove(_ world: World, _ model: String = "m", reason: String = "Ann has left") async throws
        -> RemoveModelResult
    {
        try await world.control.remove(
            RemoveModelParams(model: try World.reference(model).model, reason: reason), peer: Self.admin)
    }

    private func refusal(_ body: () async throws -> Void) async -> RPCError? {
        await #expect(throws: RPCError.self) { try await body() }
    }

    private func names(_ world: World) async throws -> [String] {
        try await world.control.models().map(\.model.text)
    }

    @Test func `a model goes with all versions at once, and its rows tell when and why`() async throws {
        let world = try await prepared()
        let control = world.control
        let model = try World.reference("m").model
        _ = try await control.tag(
            TagParams(version: try World.reference("m@v1"), tag: "release"), peer: World.user)
        let done = try await remove(world)
        #expect(done.versions.map(\.description) == ["v1", "v2"] && done.removal.last.description == "v2")
        #expect(try await names(world) == ["other"])
        #expect(try await control.storeStatus().models == 1)
        let history = try await control.history(ModelHistoryParams(model: model))
        #expect(history.map(\.gone) == [true, true] && history.map(\.head) == [false, false])
        #expect(history.map(\.removed) == [done.removal.time, done.removal.time])
        #expect(history.allSatisfy { $0.purged == nil && $0.tags.isEmpty })
        let shown = try await control.model(ModelShowParams(model: model))
        #expect(shown.removals == [done.removal] && shown.summary.head == nil && shown.files.isEmpty)
        #expect(shown.removals.first?.reason == "Ann has left" && shown.removals.first?.who == 0)
        for name in ["m", "m@v1"] {
            let gone = await refusal {
                _ = try await control.files(ModelFilesParams(version: try World.reference(name)))
            }
            #expect(gone?.kind == .gone && gone?.message.contains("was removed") == true, "\(gone as Any)")
        }
        let twice = await refusal { _ = try await remove(world) }
        #expect(twice?.kind == .gone)
        // One audit row, without what people wrote, and one event.
        let audit = try await control.auditLog(AuditLogParams()).filter { $0.action == "model.remove" }
        #expect(audit.map(\.actor) == [0] && audit.first?.body["model"] == "m")
        #expect(audit.first?.body["versions"] == ["v1", "v2"])
        #expect(audit.first?.body.serializedString().contains("Ann") == false)
        #expect(try await control.auditVerify().valid)
        // What another model needs stays.
        let store = try ObjectStore(root: world.directory.path + "/state")
        let a = try #require(world.versions["a"])
        let b = try #require(world.versions["b"])
        #expect(store.contains(a.manifest) && store.contains(b.manifest))
        #expect(try await control.gc(dryRun: false, peer: World.user).objects > 0)
        #expect(store.contains(a.manifest) && !store.contains(b.manifest))
        await control.shutdown()
    }

    @Test func `what is held or used by an unfinished job is not removed, and nothing changes`() async throws
    {
        let world = try await prepared()
        let control = world.control
        let model = try World.reference("m").model
        let v1 = try World.reference("m@v1")
        let before = try await control.model(ModelShowParams(model: model))
        let rows = try await control.auditLog(AuditLogParams()).count
        for reason in ["", " \n", String(repeating: "x", count: 4097)] {
            let error = await refusal { _ = try await remove(world, reason: reason) }
            #expect(error?.kind == .invalidParams && error?.field == "reason")
        }
        #expect(await refusal { _ = try await remove(world, "nowhere") }?.kind == .notFound)
        #expect(try await control.auditLog(AuditLogParams()).count == rows)

        _ = try await control.hold(HoldParams(version: v1, reason: "a case"), peer: World.user)
        let held = await refusal { _ = try await remove(world) }
        #expect(held?.kind == .conflict && held?.message == "m@v1 is held")
        #expect(held?.hint?.contains("model unhold m@v1") == true)
        _ = try await control.unhold(v1, peer: Self.admin)

        // As a base, by number or as the head, as what a task vector ends in, as a reference, and as a name to import to.
        let reference = try World.reference("m@v1")
        let waiting = [
            try await world.submit("m@v1", note: "b") { $0.hold = true },
            try await world.submit("m", note: "b") { $0.hold = true },
            try await world.submit("other", note: "b") {
                $0.hold = true
                $0.parameters?.finetuned = reference
            },
            try await world.submit("m", as: .import, note: "a") {
                $0.hold = true
                $0.parameters = World.parameters { $0.transfer = "transfer" }
            },
        ]
        for (index, job) in waiting.enumerated() {
            let used = await refusal { _ = try await remove(world) }
            let rest = waiting.count - 1 - index
            #expect(used?.kind == .conflict, "\(used as Any)")
            #expect(
                used?.message == "job \(job) is held and uses m"
                    + (rest > 0 ? "; and \(rest) more in the way" : ""))
            #expect(used?.hint?.contains("cancel \(job)") == true)
            _ = try await control.cancel(JobCancelParams(job: job), peer: World.user)
        }
        let after = try await control.model(ModelShowParams(model: model))
        #expect(after == before)
        _ = try await remove(world)
        #expect(try await names(world) == ["other"])
        await control.shutdown()
    }

    @Test func `numbers are not given again, and each version tells of its own removal`() async throws {
        let directory = try TemporaryDirectory()
        let model = try World.reference("m").model
        let first: ModelRemoval
        do {
            let world = try await prepared(directory)
            first = try await remove(world).removal
            try await world.model("m")
            #expect(try await names(world) == ["m", "other"])
            let again = try await world.control.model(ModelShowParams(model: model))
            #expect(again.summary.head?.description == "v3" && again.removals == [first])
            #expect(again.history.map(\.gone) == [true, true, false] && again.history.last?.removed == nil)
            await world.control.shutdown()
        }
        // After a restart, too; then the new one goes as well.
        let next = try World(directory: directory)
        await next.control.start()
        #expect(try await names(next) == ["m", "other"])
        let second = try await remove(next, reason: "again").removal
        #expect(second.last.description == "v3")
        let whole = try await next.control.model(ModelShowParams(model: model))
        #expect(whole.removals == [first, second])
        #expect(whole.history.map(\.removed) == [first.time, first.time, second.time])
        #expect(try await names(next) == ["other"])
        await next.control.shutdown()
    }

    @Test func `a purge reaches what was removed, and takes the reason`() async throws {
        let world = try World()
        let control = world.control
        await control.start()
        try await world.model("m")
        let set = try await control.putDataset(
            Array("{\"input_ids\": [1, 2, 3]}\n".utf8), name: "f", peer: World.user
        ).dataset
        let job = try await world.submit("m@v1", as: .ascent, note: "evidence-b") {
            $0.forget = set
            $0.retain = set
            $0.evaluate = false
        }
        #expect(try await world.end(of: job).headMoved == true)
        let model = try World.reference("m").model
        _ = try await remove(world)
        _ = try await control.purge(PurgeJobParams(job: job), peer: Self.admin)
        let store = try ObjectStore(root: world.directory.path + "/state")
        let a = try #require(world.versions["a"])
        #expect(!store.contains(a.manifest))
        let shown = try await control.model(ModelShowParams(model: model))
        #expect(shown.removals.map(\.reason) == ["[purged]"])
        // The bytes that know do not come back under the name.
        #expect(try World.checkpoint(1, in: store, world.directory).0 == a.manifest)
        let back = try await world.end(
            of: try await world.submit("m", as: .import, note: "a") {
                $0.parameters = World.parameters { $0.transfer = "transfer" }
            })
        #expect(back.state == .failed && back.error?.kind == .gone, "\(back)")
        await control.shutdown()
    }
}
