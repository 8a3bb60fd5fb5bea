// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Protocol

/// Takes a model directory's files into the store, byte for byte.
struct ImportJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let names = context.order.files ?? []
        guard !names.isEmpty else {
            throw JobFailure(.sourceGone, "the order brings no files", hint: "import again")
        }
        let files = zip(names, context.descriptors).map { ImportFile(path: $0, descriptor: $1) }
        let phase = context.phase("import", unit: "bytes")
        let made = try CheckpointImporter.import(
            files: files, store: context.store,
            skipOtherWeights: context.parameters.skipOtherWeights ?? false,
            threads: context.threads, provenance: try context.provenance()
        ) { try phase.update($0, of: $1) }
        for warning in made.warnings { try context.send(.warning(warning)) }
        return try WorkerResult(imported: made, store: context.store)
    }
}

extension WorkerResult {
    /// What an import hands over.
    init(imported made: CheckpointImporter.Result, store: ObjectStore) throws {
        self.init(manifest: made.manifest, id: made.manifestID, storedBytes: made.storedBytes)
        let reader = try CheckpointReader(store: store, manifestID: made.manifestID)
        architecture = VersionFiles.architecture(try reader.readFile("config.json"))
        result = [
            "files": .integer(Int64(made.manifest.files.count)),
            "tensors": .integer(Int64(made.manifest.tensors.count)),
            "new_objects": .integer(Int64(made.newObjects)),
        ]
    }

    /// What a job that wrote a version hands over at least.
    init(manifest: Manifest, id: Digest, storedBytes: Int) {
        self.init()
        self.manifest = id
        digest = manifest.versionDigest
        bytes = Int64(manifest.size)
        self.storedBytes = Int64(storedBytes)
    }
}
