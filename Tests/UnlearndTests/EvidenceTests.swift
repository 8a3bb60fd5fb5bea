// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import Protocol
import Testing

import unlearnd

@Suite(.timeLimit(.minutes(2)))
struct EvidenceTests {
    private static let viewer = Peer(uid: 7, gid: 7, pid: 1, role: .viewer)

    /// A job with a forget set that leaves numbers and texts behind.
    private func finished(_ world: World) async throws -> (job: JobID, set: Digest) {
        await world.control.start()
        try await world.model("m")
        let text = Array("{\"input_ids\": [1, 2, 3]}\n".utf8)
        let set = try await world.control.putDataset(text, name: "f", peer: World.user).dataset
        let job = try await world.submit("m", note: "evidence-b") { $0.forget = set }
        let end = try await world.end(of: job)
        #expect(end.state == .succeeded, "\(end)")
        return (job, set)
    }

    private func piece(_ world: World, _ job: JobID, _ name: EvidenceName, _ peer: Peer = World.user)
        async throws
        -> StoredEvidence
    {
        let result = try await world.control.evidence(JobEvidenceParams(job: job, name: name), peer: peer)
        return try #require(result.pieces.first)
    }

    @Test func `what a worker sends is kept with the job, data and texts apart`() async throws {
        let world = try World()
        let (job, _) = try await finished(world)
        let list = try await world.control.evidence(JobEvidenceParams(job: job), peer: World.user)
        #expect(list.pieces.map(\.name) == [.attack, .samples])
        #expect(list.pieces.allSatisfy { $0.data == nil && $0.texts == nil && $0.bytes > 0 })
        let samples = try await piece(world, job, .samples)
        #expect(samples.data == ["rows": [["line": 1]]])
        #expect(samples.texts == ["rows": [["prompt": "Who?"]]])
        #expect(samples.textBytes == 28 && samples.purged == nil)
        // The later of two of one name counts.
        #expect(try await piece(world, job, .attack).data == ["relearn": 2])
        await world.control.shutdown()
    }

    @Test func `a piece that breaks the rules is left out with a warning, and the job goes on`() async throws
    {
        let world = try World()
        let (job, _) = try await finished(world)
        let warnings = try await world.control.job(job).warnings
        #expect(
            warnings.contains { $0.contains("\"list\"") && $0.contains("an array, not an object") },
            "\(warnings)")
        await world.control.shutdown()
    }

    @Test func `who may only look sees the numbers and not the texts`() async throws {
        let world = try World()
        let (job, _) = try await finished(world)
        let seen = try await piece(world, job, .samples, Self.viewer)
        #expect(seen.texts == nil && seen.withheld && seen.data != nil)
        #expect(try await piece(world, job, .attack, Self.viewer).withheld == false)
        await world.control.shutdown()
    }

    @Test func `unknown jobs and pieces are named`() async throws {
        let world = try World()
        let (job, _) = try await finished(world)
        for params in [JobEvidenceParams(job: 99), JobEvidenceParams(job: job, name: .units)] {
            let error = await #expect(throws: RPCError.self) {
                _ = try await world.control.evidence(params, peer: World.user)
            }
            #expect(error?.kind == .notFound)
        }
        await world.control.shutdown()
    }

    @Test func `a purge takes the texts of a dataset's jobs and leaves the numbers`() async throws {
        let world = try World()
        let (job, set) = try await finished(world)
        let purge = try await world.control.purge(
            PurgeDatasetParams(dataset: set.hex), peer: World.user)
        #expect(purge.jobs == [job])
        let samples = try await piece(world, job, .samples)
        #expect(samples.texts == nil && samples.data == ["rows": [["line": 1]]] && samples.purged != nil)
        await world.control.shutdown()
        let bytes = try Data(
            contentsOf: URL(fileURLWithPath: world.directory.path + "/state/unlearnd.sqlite"))
        #expect(bytes.range(of: Data("Who?".utf8)) == nil)
    }
}
