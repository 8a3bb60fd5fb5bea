// SPDX-License-Identifier: Apache-2.0

/// A version bound for one job: what the worker may read.
package struct VersionBinding: Codable, Hashable, Sendable {
    package var model: ModelName
    package var version: VersionNumber
    /// The manifest object's id.
    package var manifest: Digest
    /// The version's digest.
    package var digest: Digest
    /// A binding.
    package init(model: ModelName, version: VersionNumber, manifest: Digest, digest: Digest) {
        self.model = model
        self.version = version
        self.manifest = manifest
        self.digest = digest
    }
}

/// The first line that the daemon sends a worker on its standard input, a Unix stream socket.
///
/// Where `descriptors` is not 0, that many file descriptors follow as `SCM_RIGHTS`, in the order of `files`.
/// End of input means that the daemon is gone: the worker exits at once.
package struct WorkerOrder: Codable, Hashable, Sendable {
    package var job: JobID
    package var spec: JobSpec
    /// The state directory: objects under `objects/`, datasets under `datasets/`.
    package var store: String
    /// A file that the worker holds a shared `flock` on while it lives, so that a new daemon can wait for it.
    package var lifeLock: String
    package var threads: Int
    package var base: VersionBinding?
    package var reference: VersionBinding?
    package var finetuned: VersionBinding?
    /// The version that the fine-tuned one started from (`task-vector`), or the second one (`diff`).
    package var other: VersionBinding?
    /// The recorded jobs that the base comes from, oldest first (`exact`).
    package var lineage: [LineageStep]?
    /// Earlier requests on the model, oldest first: measured again beside the order's own sets.
    package var earlier: [EarlierCheck]?
    /// Every live manifest (`verify`, `restore`), or those of the versions that stay in full (`optimize`).
    package var manifests: [Digest]?
    /// The object after which to begin (`verify`).
    package var after: Digest?
    /// Which versions may be told by which, those made last first (`optimize`).
    package var pairs: [ManifestPair]?
    /// Every dataset (`restore`).
    package var datasets: [Digest]?
    /// The backup directory (`backup`, `restore`).
    package var backup: String?
    /// Names of the transfer's files, in the order of the descriptors.
    package var files: [String]?
    package var descriptors: Int
    /// Where a training job keeps its training checkpoint.
    package var checkpoint: String?
    /// The keys of an encrypted store; in a pipe or a socket only, never in a file, an argument or the environment.
    package var keys: WorkerKeys?
    /// The keys of an encrypted backup (`backup`, `restore`).
    package var backupKeys: WorkerKeys?

    /// An order.
    package init(job: JobID, spec: JobSpec, store: String, lifeLock: String, threads: Int) {
        self.job = job
        self.spec = spec
        self.store = store
        self.lifeLock = lifeLock
        self.threads = threads
        descriptors = 0
    }

    enum CodingKeys: String, CodingKey {
        case job, spec, store, threads, base, reference, finetuned, other, lineage, manifests, files,
            descriptors
        case checkpoint, earlier, datasets, backup, pairs, after, keys
        case backupKeys = "backup_keys"
        case lifeLock = "life_lock"
    }
}

/// A version and one that was made from it, by their manifests.
package struct ManifestPair: Codable, Hashable, Sendable {
    package var parent: Digest
    package var child: Digest
    /// A pair.
    package init(parent: Digest, child: Digest) {
        self.parent = parent
        self.child = child
    }
}

/// What the daemon sends after the order, one JSON object a line.
package enum WorkerCommand: String, Codable, Hashable, Sendable {
    /// The snapshot is recorded: the edit may begin.
    case proceed
    /// Stop at the next step and exit.
    case cancel
    /// Write a training checkpoint after this step, say so, and exit.
    case pause
}

/// What a worker sends on its standard output, one JSON object a line: `{"type": …, …}`.
package enum WorkerMessage: Hashable, Sendable {
    /// The worker runs; `environment` says on which kernels and threads.
    case started(environment: NumericEnvironmentReport)
    /// A line for the job's log.
    case log(level: String, message: String)
    case progress(JobProgress)
    /// The base is whole and durable. The worker waits for ``WorkerCommand/proceed`` before it edits.
    case snapshot(SnapshotReport)
    case epoch(TrainingEpoch)
    /// A training checkpoint is durable.
    case checkpoint(TrainingCheckpoint)
    /// `role` is `before`, `after` or `reference`.
    case evaluation(role: String, figures: EvaluationFigures)
    case warning(String)
    /// A piece of evidence, to be kept if the job ends well. Sent before the result.
    case evidence(EvidencePiece)
    case finished(WorkerResult)
    case failed(JobFailure)
    /// The worker ends because it was told to pause; the job can go on from its last training checkpoint.
    case paused
}

/// What the arithmetic ran on; recorded in the manifest because it decides the bits.
package struct NumericEnvironmentReport: Codable, Hashable, Sendable {
    /// OpenBLAS's core type, such as `SkylakeX`; `null` for jobs without matrix products.
    package var coreType: String?
    /// OpenBLAS's version and build.
    package var blas: String?
    /// The level of our own kernels: `avx512`, `avx2`, `scalar`.
    package var kernels: String
    /// How operands of matrix products were rounded and by whom; `null` for f32.
    package var arithmetic: String?
    package var threads: Int
    package var software: String
    /// A report.
    package init(
        coreType: String?, blas: String?, kernels: String, arithmetic: String? = nil, threads: Int,
        software: String = Software.version
    ) {
        self.coreType = coreType
        self.blas = blas
        self.kernels = kernels
        self.arithmetic = arithmetic
        self.threads = threads
        self.software = software
    }
    enum CodingKeys: String, CodingKey {
        case blas, kernels, arithmetic, threads, software
        case coreType = "core_type"
    }
}

/// What was found whole before an edit.
package struct SnapshotReport: Codable, Hashable, Sendable {
    package var version: VersionNumber
    package var digest: Digest
    package var objects: Int
    package var bytes: Int64
    /// A report.
    package init(version: VersionNumber, digest: Digest, objects: Int, bytes: Int64) {
        self.version = version
        self.digest = digest
        self.objects = objects
        self.bytes = bytes
    }
}

/// What a worker hands over for the commit.
package struct WorkerResult: Codable, Hashable, Sendable {
    /// The new version's manifest, durable in the store; absent for jobs that write none.
    package var manifest: Digest?
    /// The new version's digest.
    package var digest: Digest?
    /// The new version's size, bytes.
    package var bytes: Int64?
    /// Bytes that the store grew by.
    package var storedBytes: Int64?
    package var architecture: String?
    /// The version of the same model that the result comes from, where that is not the base.
    package var parent: VersionNumber?
    package var evaluation: EvaluationReport?
    package var training: [TrainingEpoch]?
    /// What the kind gives back to the client beyond that.
    package var result: JSONValue?
    /// Peak resident memory, bytes.
    package var peakMemory: Int64?
    /// What the messages before brought; the daemon puts it here, no worker writes it.
    package var evidence: [EvidencePiece] = []
    /// An empty result.
    package init() {}
    enum CodingKeys: String, CodingKey {
        case manifest, digest, bytes, architecture, parent, evaluation, training, result
        case storedBytes = "stored_bytes"
        case peakMemory = "peak_memory"
    }
}

extension WorkerMessage: Codable {
    private enum CodingKeys: String, CodingKey {
        case type, environment, level, message, progress, snapshot, epoch, role, figures, warning, result,
            error, checkpoint
        case name, data, texts
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        switch try container.decode(String.self, forKey: .type) {
        case "started":
            self = .started(
                environment: try container.decode(NumericEnvironmentReport.self, forKey: .environment))
        case "log":
            self = .log(
                level: try container.decode(String.self, forKey: .level),
                message: try container.decode(String.self, forKey: .message))
        case "progress": self = .progress(try container.decode(JobProgress.self, forKey: .progress))
        case "snapshot": self = .snapshot(try container.decode(SnapshotReport.self, forKey: .snapshot))
        case "epoch": self = .epoch(try container.decode(TrainingEpoch.self, forKey: .epoch))
        case "checkpoint":
            self = .checkpoint(try container.decode(TrainingCheckpoint.self, forKey: .checkpoint))
        case "paused": self = .paused
        case "evaluation":
            self = .evaluation(
                role: try container.decode(String.self, forKey: .role),
                figures: try container.decode(EvaluationFigures.self, forKey: .figures))
        case "warning": self = .warning(try container.decode(String.self, forKey: .warning))
        case "evidence":
            self = .evidence(
                EvidencePiece(
                    name: try container.decode(EvidenceName.self, forKey: .name),
                    data: try container.decode(JSONValue.self, forKey: .data),
                    texts: try container.decodeIfPresent(JSONValue.self, forKey: .texts)))
        case "finished": self = .finished(try container.decode(WorkerResult.self, forKey: .result))
        case "failed": self = .failed(try container.decode(JobFailure.self, forKey: .error))
        case let other:
            throw DecodingError.dataCorruptedError(
                forKey: .type, in: container,
                debugDescription: "unknown worker message \(other.debugDescription)")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .started(let environment):
            try container.encode("started", forKey: .type)
            try container.encode(environment, forKey: .environment)
        case .log(let level, let message):
            try container.encode("log", forKey: .type)
            try container.encode(level, forKey: .level)
            try container.encode(message, forKey: .message)
        case .progress(let progress):
            try container.encode("progress", forKey: .type)
            try container.encode(progress, forKey: .progress)
        case .snapshot(let snapshot):
            try container.encode("snapshot", forKey: .type)
            try container.encode(snapshot, forKey: .snapshot)
        case .epoch(let epoch):
            try container.encode("epoch", forKey: .type)
            try container.encode(epoch, forKey: .epoch)
        case .checkpoint(let checkpoint):
            try container.encode("checkpoint", forKey: .type)
            try container.encode(checkpoint, forKey: .checkpoint)
        case .paused: try container.encode("paused", forKey: .type)
        case .evaluation(let role, let figures):
            try container.encode("evaluation", forKey: .type)
            try container.encode(role, forKey: .role)
            try container.encode(figures, forKey: .figures)
        case .warning(let warning):
            try container.encode("warning", forKey: .type)
            try container.encode(warning, forKey: .warning)
        case .evidence(let piece):
            try container.encode("evidence", forKey: .type)
            try container.encode(piece.name, forKey: .name)
            try container.encode(piece.data, forKey: .data)
            try container.encodeIfPresent(piece.texts, forKey: .texts)
        case .finished(let result):
            try container.encode("finished", forKey: .type)
            try container.encode(result, forKey: .result)
        case .failed(let error):
            try container.encode("failed", forKey: .type)
            try container.encode(error, forKey: .error)
        }
    }
}
