// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import GRDB
import Protocol
import Testing

import unlearnd

@Suite(.timeLimit(.minutes(3)))
struct PurgeTests {
    static let admin = Peer(uid: 0, gid: 0, pid: 1, role: .admin)
    private static let rows = Array("{\"input_ids\": [1, 2, 3]}\n".utf8)

    private func set(_ world: World, _ text: String) async throws -> Digest {
        try await world.control.putDataset(Array(text.utf8), name: "f", peer: World.user).dataset
    }

    /// m@v1 (a) is imported; job 2 makes m@v2 (b), its head, forget the rows and leaves texts.
    private func unlearned(_ world: World) async throws -> (job: JobID, set: Digest) {
        await world.control.start()
        try await world.model("m")
        let set = try await set(world, String(decoding: Self.rows, as: UTF8.self))
        // Rows, warnings, samples and a label; nothing was required, so the head moves.
        let job = try await world.submit("m@v1", as: .ascent, note: "evidence-b") {
            $0.forget = set
            $0.retain = set
            $0.evaluate = false
            $0.labels = ["request": "Ann"]
        }
        let end = try await world.end(of: job)
        #expect(end.state == .succeeded && end.headMoved == true, "\(end)")
        return (job, set)
    }

    private func refusal(_ body: () async throws -> Void) async -> RPCError? {
        await #expect(throws: RPCError.self) { try await body() }
    }

    @Test func `a version is purged once, for good, and its number stays taken`() async throws {
        let world = try World()
        _ = try await unlearned(world)
        let control = world.control
        let v1 = try World.reference("m@v1")
        let head = await refusal {
            _ = try await control.purge(
                PurgeVersionParams(version: try World.reference("m@v2")), peer: Self.admin)
        }
        #expect(head?.kind == .conflict && head?.message.contains("is the head of m") == true)
        _ = try await control.hold(HoldParams(version: v1, reason: "Case of Ann"), peer: World.user)
        let held = await refusal {
            _ = try await control.purge(PurgeVersionParams(version: v1), peer: Self.admin)
        }
        #expect(held?.hint?.contains("model unhold m@v1") == true)
        _ = try await control.unhold(v1, peer: Self.admin)
        let result = try await control.purge(
            PurgeVersionParams(version: v1, reason: "Ann asked"), peer: Self.admin)
        #expect(result.versions.map(\.cause) == [.named] && result.erasure == "logical deletion")
        #expect(result.finished != nil && result.objects ?? 0 > 0)
        let store = try ObjectStore(root: world.directory.path + "/state")
        let a = try #require(world.versions["a"])
        let b = try #require(world.versions["b"])
        #expect(!store.contains(a.manifest) && store.contains(b.manifest))
        let gone = await refusal { _ = try await control.files(ModelFilesParams(version: v1)) }
        #expect(gone?.kind == .gone && gone?.message.contains("was purged on") == true)
        // The same bytes, stored again by an import, do not come back, and the number is not given again.
        #expect(try World.checkpoint(1, in: store, world.directory).0 == a.manifest)
        let again = try await world.end(
            of: try await world.submit("other", as: .import, note: "a") {
                $0.parameters = World.parameters { $0.transfer = "transfer" }
            })
        #expect(again.state == .failed && again.error?.kind == .gone, "\(again)")
        let history = try await control.history(ModelHistoryParams(model: try World.reference("m").model))
        #expect(history.map(\.gone) == [true, false] && history.first?.purged != nil)
        let audit = try await control.auditLog(AuditLogParams())
        #expect(audit.filter { $0.action == "version.purge" }.map { $0.body["version"] } == ["v1"])
        #expect(!audit.contains { $0.body.serializedString().contains("Ann") })
        #expect(try await control.auditVerify().valid)
        let planned = try await control.gc(dryRun: true, peer: Self.admin)
        let freed = try await control.gc(dryRun: false, peer: Self.admin)
        #expect(planned.objects > 0 && (planned.objects, planned.bytes) == (freed.objects, freed.bytes))
        #expect(!store.contains(a.manifest))
        await control.shutdown()
    }

    @Test func `purging a job takes what knows in every model, the rows and the texts`() async throws {
        let world = try World()
        let (job, set) = try await unlearned(world)
        let control = world.control
        // A data set with one of the rows, a sibling that a sweep left as a candidate, and a job that waits for v1.
        let wider = try await self.set(world, "{\"input_ids\": [9, 8]}\n{\"input_ids\": [1, 2, 3]}\n")
        _ = try await self.set(world, "{\"input_ids\": [7, 6]}\n")
        let sibling = try await world.end(of: try await world.submit("m@v1", note: "c"))
        #expect(sibling.version?.description == "v3" && sibling.headMoved == false)
        let waiting = try await world.submit("m@v1", note: "b") { $0.hold = true }
        let planned = try await control.purge(PurgeJobParams(job: job, dryRun: true), peer: Self.admin)
        #expect(planned.versions.map(\.version.description) == ["m@v1", "m@v3"])
        #expect(planned.versions.map(\.cause) == [.learned, .candidate])
        #expect(Set(planned.datasets.map(\.dataset)) == [set, wider])
        #expect(planned.obstacles.map(\.message) == ["job \(waiting) is held and reads what is to be purged"])
        let refused = await refusal {
            _ = try await control.purge(PurgeJobParams(job: job), peer: Self.admin)
        }
        #expect(refused?.hint?.contains("cancel \(waiting)") == true)
        #expect(try await control.datasets().count == 3)
        _ = try await control.cancel(JobCancelParams(job: waiting), peer: World.user)
        let known = try await control.model(ModelShowParams(model: try World.reference("m").model)).requests
        #expect(known.map { $0.knownBy.map(\.description) } == [["v1", "v3"]])

        let done = try await control.purge(PurgeJobParams(job: job), peer: Self.admin)
        #expect(done.versions == planned.versions && done.finished != nil)
        #expect(try await control.datasets().count == 1)
        let back = await refusal { _ = try await self.set(world, String(decoding: Self.rows, as: UTF8.self)) }
        #expect(back?.kind == .gone)
        let shown = try await control.job(job)
        #expect(shown.note == "[purged]" && shown.labels == ["request": "[purged]"])
        #expect(shown.digest == world.versions["b"]?.digest && shown.state == .succeeded)
        let samples = try await control.evidence(
            JobEvidenceParams(job: job, name: .samples), peer: World.user)
        #expect(samples.pieces.first?.texts == nil && samples.pieces.first?.purged != nil)
        #expect(
            try await control.model(ModelShowParams(model: try World.reference("m").model)).requests.first?
                .knownBy == [])
        #expect(try await control.auditVerify().valid)
        await control.shutdown()
        // Nothing of the texts is left in any file of the state directory.
        let state = world.directory.path + "/state"
        for name in try FileManager.default.contentsOfDirectory(atPath: state)
        where name.hasPrefix("unlearnd.sqlite") {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: state + "/" + name))
            for text in ["Who?", "evidence-b", "\"Ann\""] {
                #expect(bytes.range(of: Data(text.utf8)) == nil, "\(name) has \(text)")
            }
        }
    }

    @Test func `a model that was trained on the rows goes as a whole, and what was made before stays`()
        async throws
    {
        let world = try World()
        let control = world.control
        await control.start()
        try await world.model("m")
        let set = try await set(world, String(decoding: Self.rows, as: UTF8.self))
        let tuned = try await world.end(
            of: try await world.submit("m", as: .finetune, note: "b") { $0.retain = set })
        #expect(tuned.headMoved == true)
        let job = try await world.end(
            of: try await world.submit("m", as: .ascent, note: "c") {
                $0.forget = set
                $0.retain = set
                $0.evaluate = false
            })
        #expect(job.version?.description == "v3" && job.headMoved == true, "\(job)")
        let plan = try await control.purge(PurgeJobParams(job: job.id, dryRun: true), peer: Self.admin)
        // v1 was there before anybody had trained on the rows.
        #expect(plan.versions.map(\.version.description) == ["m@v2"])
        await control.shutdown()
    }

    @Test func `a candidate that knew and expired before the purge does not come back either`() async throws {
        let world = try World(candidates: CandidateRules(depth: 0, days: 0))
        let (job, _) = try await unlearned(world)
        let control = world.control
        let sibling = try await world.end(of: try await world.submit("m@v1", note: "c"))
        #expect(sibling.version?.description == "v3" && sibling.headMoved == false)
        let expired = try await control.gc(dryRun: false, peer: Self.admin).expired
        #expect(expired.map(\.description) == ["m@v3"])
        let done = try await control.purge(PurgeJobParams(job: job), peer: Self.admin)
        #expect(done.versions.map(\.version.description) == ["m@v1"])
        let store = try ObjectStore(root: world.directory.path + "/state")
        _ = try World.checkpoint(3, in: store, world.directory)
        let again = try await world.end(of: try await world.submit("m", note: "c"))
        #expect(again.state == .failed && again.error?.kind == .gone, "\(again)")
        await control.shutdown()
    }

    @Test func `a purged dataset is gone, and later jobs say so`() async throws {
        let world = try World()
        let (_, set) = try await unlearned(world)
        let result = try await world.control.purge(PurgeDatasetParams(dataset: set.hex), peer: Self.admin)
        #expect(result.versions.isEmpty && result.datasets.map(\.dataset) == [set])
        let store = try ObjectStore(root: world.directory.path + "/state")
        #expect(try store.listDatasets().isEmpty)
        let refused = await refusal { _ = try await world.control.dataset(id: set) }
        #expect(refused?.kind == .gone)
        let twice = await refusal {
            _ = try await world.control.purge(PurgeDatasetParams(dataset: set.hex), peer: Self.admin)
        }
        #expect(twice?.kind == .gone)
        await world.control.shutdown()
    }

    @Test func `only finished unlearning jobs can be purged`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let error = await refusal {
            _ = try await world.control.purge(PurgeJobParams(job: 1), peer: Self.admin)
        }
        #expect(error?.kind == .invalidParams && error?.field == "job")
        await world.control.shutdown()
    }
}
