// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Protocol
import Synchronization

/// Which datasets have rows of a forget set. Datasets never change, so what was found once stays true.
final class SharedRows: Sendable {
    /// What a dataset has of a forget set.
    struct Share: Hashable, Sendable {
        /// Rows that read like one of the forget set's.
        var rows: Int
        /// Whether every row of the forget set is there.
        var isWhole: Bool
    }
    private struct Pair: Hashable {
        var forget: Digest
        var dataset: Digest
    }

    private let store: ObjectStore
    private let known = Mutex<[Pair: Share]>([:])

    init(store: ObjectStore) { self.store = store }

    /// The shares of those datasets that have any row of `forget`. Where the forget set is no longer there, only itself
    /// can be told.
    /// - Throws: `CheckpointError` for a dataset that cannot be read: what it has is not known.
    func shares(of forget: Digest, in datasets: Set<Digest>) throws -> [Digest: Share] {
        var found = [forget: Share(rows: 0, isWhole: true)]
        let others = datasets.subtracting([forget])
        let unknown = known.withLock { known in
            others.filter { known[Pair(forget: forget, dataset: $0)] == nil }
        }
        if datasets.contains(forget) {
            let wanted = Set(try texts(forget))
            found[forget]?.rows = wanted.count
            for dataset in unknown {
                let rows = try texts(dataset)
                let shared = rows.filter(wanted.contains)
                let share = Share(rows: shared.count, isWhole: wanted.isSubset(of: shared))
                known.withLock { $0[Pair(forget: forget, dataset: dataset)] = share }
            }
        }
        known.withLock { known in
            for dataset in others {
                if let share = known[Pair(forget: forget, dataset: dataset)], share.rows > 0 {
                    found[dataset] = share
                }
            }
        }
        return found
    }

    /// Which datasets have rows of the forget sets of the unlearning jobs in a model's line, by job.
    func shares(ofRequestsTo name: ModelName, _ database: StateDatabase) async throws -> [JobID: [Digest:
        Share]]
    {
        let (jobs, datasets) = try await database.read { db in
            let head = try ModelRow.require(name, db).head.flatMap { try VersionRow.find(name, $0, db) }
            return (
                try head.map { try ControlPlane.unlearning(behind: $0, db) } ?? [],
                Set(try StoredDataset.all(db).map(\.id))
            )
        }
        return try await offloading {
            try jobs.reduce(into: [:]) { found, job in
                guard let forget = job.spec.forget else { return }
                found[job.id] = try self.shares(of: forget, in: datasets)
            }
        }
    }

    private func texts(_ dataset: Digest) throws -> [RowText] {
        try DatasetParser.parse(try store.readDataset(dataset), name: "dataset \(dataset.short)").map(
            RowText.init)
    }
}
