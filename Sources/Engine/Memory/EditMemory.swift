// SPDX-License-Identifier: Apache-2.0

import Protocol

/// How much memory a job takes that computes with a model and does not train it, before it begins: computed from what it
/// would allocate.
package struct EditMemory: Sendable {
    private let configuration: ModelConfiguration
    private let kind: JobKind
    private let threads: Int
    private let onCard: Bool
    /// Processes that share what is measured, each with the whole model.
    private let ranks: Int
    /// Facts that are put into the weights.
    private let facts: Int
    /// Rows that a gradient is taken of together.
    private var rows: Int
    /// The rows that the edit looks at.
    private var sizes: RowSizes
    /// What it measures, attacks or lets be said; `nil` for nothing.
    private var measuring: MeasuringMemory?
    /// Whether a gate or the kind itself asks for that.
    private let mustMeasure: Bool

    /// A job's run.
    ///
    /// - Parameters:
    ///   - sizes: Of the rows that the edit looks at.
    ///   - facts: Rows of an `update` by edit.
    ///   - mustMeasure: Whether a gate asks for the measurement.
    package init(
        _ configuration: ModelConfiguration, _ kind: JobKind, _ parameters: JobParameters, sizes: RowSizes,
        measuring: MeasuringMemory, facts: Int, mustMeasure: Bool, threads: Int
    ) {
        self.configuration = configuration
        self.kind = kind
        self.threads = threads
        self.facts = facts
        self.sizes = sizes
        self.measuring = measuring.isEmpty ? nil : measuring
        self.mustMeasure = mustMeasure || !kind.editsVersion
        onCard = parameters.device == .cuda
        ranks = parameters.ranks ?? 1
        rows = parameters.batchSize ?? 4
    }

    /// The peak of the worker's resident size, of all its ranks together, bytes: the largest of what one does one after the
    /// other, in f32, each with the weights and the memory of its largest batch.
    ///
    /// - Throws: ``EngineError`` for a model that cannot be.
    package func predict() throws(EngineError) -> Int {
        ranks == 1 ? try alone() : ranks * (try alone() + TrainingMemory.library)
    }

    private func alone() throws(EngineError) -> Int {
        let weights = try ParameterTable(configuration).count
        let passes = PassMemory(configuration: configuration, threads: threads)
        var parts = [measuring?.floats(weights: weights) ?? 0]
        switch kind {
        // The gradient, which nobody reads.
        case .ablate:
            parts.append(2 * weights + passes.floats(sizes.batch(of: rows), training: true))
        // The gradient and two importances.
        case .dampen:
            parts.append(4 * weights + passes.floats(sizes.batch(of: rows), training: true))
        case .update:
            // Nothing is trained but one shift, one row after the other.
            parts.append(weights + passes.floats(sizes.batch(of: 1), training: true))
            parts.append(
                weights + matrix
                    + passes.floats(sizes.batch(of: MeasuringMemory.scoredRows), training: false))
        default: break
        }
        // The versions of a direction stay open while its result is measured.
        let open = kind == .taskVector && measuring != nil ? CheckpointMemory.reader : 0
        let computing = MemoryLayout<Float>.stride * (parts.max() ?? 0) + open
        let process = TrainingMemory.process + (onCard ? TrainingMemory.driver : 0)
        guard kind.editsVersion else { return process + computing }
        guard kind != .taskVector else { return max(process + computing, Self.piecewise(threads: threads)) }
        return process
            + max(
                computing,
                MemoryLayout<Float>.stride * weights + CheckpointMemory.rewriting(threads: threads))
    }

    /// What subtracting a direction takes, chunk by chunk of up to three versions, whatever the model.
    package static func piecewise(threads: Int) -> Int {
        TrainingMemory.process + CheckpointMemory.rewriting(threads: threads, versions: 3)
    }

    /// Floats that one layer's edit of facts takes: what its projection reads, multiplied by itself, in f64, and of each fact
    /// that vector, its solution and the shift.
    private var matrix: Int {
        let inner = configuration.intermediateSize
        return 2 * (inner * inner + facts * (2 * inner + configuration.hiddenSize))
    }

    /// The prediction, and what changes of the job's options would make of it.
    package func answer() throws(EngineError) -> MemoryAnswer {
        var ways = try MemoryWays(self) { memory throws(EngineError) in try memory.predict() }
        if rows > 1 {
            try ways.consider("--batch-size 1") {
                $0.rows = 1
                $0.measuring?.learn(from: 1)
            }
        }
        if sizes.length > 128 {
            try ways.consider("--max-length 128") {
                $0.sizes = $0.sizes.changed(to: 128)
                $0.measuring = $0.measuring?.cut(to: 128)
            }
        }
        if !mustMeasure { try ways.consider("--no-evaluate") { $0.measuring = nil } }
        return try ways.answer()
    }
}
