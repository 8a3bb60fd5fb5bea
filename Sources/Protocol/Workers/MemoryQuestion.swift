// SPDX-License-Identifier: Apache-2.0

/// How much memory would a job take that computes with a model? The daemon, which knows no tensors, asks the worker's program
/// (`unlearnd-worker predict`), which computes it from the plan that it would allocate by.
package struct MemoryQuestion: Codable, Hashable, Sendable {
    /// The text of the base version's `config.json`.
    package var config: String
    package var kind: JobKind
    package var parameters: JobParameters
    /// Tokens of the longest row that is trained on or that an edit looks at, or of the longest prompt.
    package var length: Int
    /// Tokens of the longest row that is measured; `nil` when nothing is.
    package var measured: Int?
    package var threads: Int
    /// Most rows that a set has; `nil` where only a tokenizer can tell.
    package var rows: Int?
    /// Rows of an `update` by edit.
    package var facts: Int?
    /// What is measured.
    package var metrics: [EvaluationMetric]?
    /// Whether a gate asks for that.
    package var isGated: Bool?
    /// What the version is attacked with.
    package var attacks: [AttackKind]?

    /// A question.
    package init(
        config: String, kind: JobKind, parameters: JobParameters, length: Int, measured: Int?, threads: Int
    ) {
        self.config = config
        self.kind = kind
        self.parameters = parameters
        self.length = length
        self.measured = measured
        self.threads = threads
    }
}

/// What the job would take, and what it would take if it were asked for differently.
package struct MemoryAnswer: Codable, Hashable, Sendable {
    /// A change of the job's options.
    package struct Way: Codable, Hashable, Sendable {
        /// The options as a command has them.
        package var options: String
        /// The peak with them, bytes.
        package var memory: Int64

        /// A way to need `memory`.
        package init(options: String, memory: Int64) {
            self.options = options
            self.memory = memory
        }
    }

    /// The peak resident size, bytes.
    package var memory: Int64
    /// Single changes that make it less, the smallest first, and last all of them together.
    package var ways: [Way]
    /// What the job takes of a card's memory, bytes; absent where it uses none.
    package var card: Int64?

    /// An answer.
    package init(memory: Int64, ways: [Way], card: Int64? = nil) {
        self.memory = memory
        self.ways = ways
        self.card = card
    }

    /// What to do where `limit` bytes are all that there is.
    ///
    /// - Parameter place: What has them.
    package func hint(limit: Int64, of place: String = "machine") -> String {
        func text(_ way: Way) -> String { "\(way.options) (\(way.memory >> 20) MiB)" }
        let fitting = ways.filter { $0.memory <= limit }
        if !fitting.isEmpty {
            return "it would fit with " + fitting.map(text).joined(separator: ", or with ")
        }
        guard let least = ways.min(by: { $0.memory < $1.memory }) else {
            return "run it on a larger \(place)"
        }
        return "run it on a larger \(place): even with \(text(least)) it does not fit"
    }
}
