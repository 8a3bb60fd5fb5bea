// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol

/// Holds a gate against the rows that it will be judged on.
enum GateRowRules {
    /// - Throws: `invalid_params` naming the condition that the rows cannot answer. Sets that are not stored are left to
    ///   whoever looks for them.
    static func check(_ spec: JobSpec, in store: ObjectStore) throws {
        guard let gate = try spec.gate.map({ try Gate.parse($0) }), gate.readsRows else { return }
        func rows(_ id: Digest?) throws -> [DatasetRow]? {
            guard let id else { return nil }
            do {
                return try DatasetParser.parse(store.readDataset(id), name: "dataset \(id.short)")
            } catch let error as CheckpointError where error.code == .missing { return nil }
        }
        let utility = (spec.utility ?? []).filter { $0.role ?? .keep == .keep }.map(\.dataset)
        let kept = try ([spec.retain].compactMap(\.self) + utility).map { try rows($0) }
        do {
            try gate.check(forget: try rows(spec.forget), kept: kept)
        } catch let error as GateError {
            throw SpecRules.fault("gate", error.message, error.hint)
        }
    }
}
