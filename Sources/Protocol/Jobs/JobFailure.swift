// SPDX-License-Identifier: Apache-2.0

/// Why a job failed: a stable kind for programs, a sentence and a remedy for people.
package struct JobFailure: Error, Codable, Hashable, Sendable {
    /// Stable names; clients must accept ones that they do not know.
    package struct Kind: OpenNames, Hashable, Sendable {
        /// The names that this version gives.
        package enum Known: String, CaseIterable {
            case diverged, unsupported, storage, integrity, memory, missing, gone, `internal`
            case badInput = "bad-input"
            case noOp = "no-op"
            case sourceGone = "source-gone"
            case target
            case timeLimit = "time-limit"
            case preempted, unreachable, cluster
            case nodeFailed = "node-failed"
            case workerDied = "worker-died"
        }

        package var rawValue: String
        package init(rawValue: String) { self.rawValue = rawValue }

        /// The data do not fit the model or the rules.
        package static let badInput = Kind(.badInput)
        /// The edit left every byte as it was.
        package static let noOp = Kind(.noOp)
        /// A loss became NaN or infinite.
        package static let diverged = Kind(.diverged)
        /// The architecture cannot be trained.
        package static let unsupported = Kind(.unsupported)
        /// The disk is full or a file operation failed.
        package static let storage = Kind(.storage)
        /// Stored bytes do not match their hash.
        package static let integrity = Kind(.integrity)
        /// The descriptors of an import or export are gone.
        package static let sourceGone = Kind(.sourceGone)
        /// A publish target is not as it must be.
        package static let target = Kind(.target)
        /// The worker was killed or crashed.
        package static let workerDied = Kind(.workerDied)
        /// The cluster's time limit ended it.
        package static let timeLimit = Kind(.timeLimit)
        /// The cluster took its nodes back.
        package static let preempted = Kind(.preempted)
        /// A node that it ran on went down.
        package static let nodeFailed = Kind(.nodeFailed)
        /// The cluster, or from a node the state directory, cannot be reached now.
        package static let unreachable = Kind(.unreachable)
        /// The cluster refuses to run it, or somebody cancelled it there.
        package static let cluster = Kind(.cluster)
        /// The job needs more memory than there can be.
        package static let memory = Kind(.memory)
        /// A version, dataset or model that the job needs is gone.
        package static let missing = Kind(.missing)
        /// The result's bytes were purged and must not come back.
        package static let gone = Kind(.gone)
        /// Anything else: a fault of this software.
        package static let `internal` = Kind(.internal)
    }

    /// Whether the same job may succeed later: the worker died, the disk was full, a target could not be reached. What the
    /// data, the model or this software are at fault for would only fail again.
    package var isRetryable: Bool { [.workerDied, .storage, .target].contains(kind) }

    /// The kind.
    package var kind: Kind
    /// What happened, naming the thing and the rule.
    package var message: String
    /// What to do about it.
    package var hint: String?

    /// A failure from its parts.
    package init(_ kind: Kind, _ message: String, hint: String? = nil) {
        self.kind = kind
        self.message = message
        self.hint = hint
    }
}
