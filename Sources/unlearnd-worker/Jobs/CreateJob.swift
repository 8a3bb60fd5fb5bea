// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Glibc
import Protocol

/// Makes a new model from its configuration and tokenizer: weights are a function of the seed.
struct CreateJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let given = Dictionary(zip(context.order.files ?? [], context.descriptors)) { first, _ in first }
        guard let config = given["config.json"] else {
            throw JobFailure(.badInput, "no config.json was given", hint: "name it with --config")
        }
        if let weights = given.keys.sorted().first(where: {
            $0.hasSuffix(".safetensors") || $0.hasSuffix(".index.json")
        }) {
            throw JobFailure(
                .badInput, "\(weights) was given, but a new model's weights are made",
                hint: "import existing weights")
        }
        let configuration = try ModelConfiguration(json: try read(config, "config.json"))
        try checkTokenizer(given, configuration)
        let model = try Transformer(configuration, context: context.compute)
        ParameterInitializer.fill(
            model.parameters, model.table, seed: context.spec.seed ?? 0, context: context.compute)
        try context.checkCancelled()

        let weights = try temporaryFile()
        defer { close(weights) }
        let size = model.table.parameterCount
        context.log("\(size) parameters, seed \(context.spec.seed ?? 0)")
        try NewCheckpoint(model).emit { bytes in
            try context.checkCancelled()
            try write(bytes, to: weights)
        }
        let phase = context.phase("import", unit: "bytes")
        let files =
            given.sorted { $0.key < $1.key }.map { ImportFile(path: $0.key, descriptor: $0.value) }
            + [ImportFile(path: "model.safetensors", descriptor: weights)]
        let made = try CheckpointImporter.import(
            files: files, store: context.store, threads: context.threads, provenance: try context.provenance()
        ) { try phase.update($0, of: $1) }
        for warning in made.warnings { try context.send(.warning(warning)) }
        var result = try WorkerResult(imported: made, store: context.store)
        result.result = [
            "parameters": .integer(Int64(size)), "tensors": .integer(Int64(made.manifest.tensors.count)),
        ]
        return result
    }

    /// Every token must have a row in the embedding: found now rather than by the first job that reads text.
    private func checkTokenizer(_ given: [String: Int32], _ configuration: ModelConfiguration) throws {
        guard let file = given["tokenizer.json"] else { return }
        let tokenizer = try Tokenizer(
            tokenizerJSON: read(file, "tokenizer.json"),
            configJSON: given["tokenizer_config.json"].map { try read($0, "tokenizer_config.json") })
        guard tokenizer.vocabularySize <= configuration.vocabularySize else {
            throw JobFailure(
                .badInput,
                "tokenizer.json has ids up to \(tokenizer.vocabularySize - 1), config.json a vocab_size of \(configuration.vocabularySize)",
                hint: "raise vocab_size in config.json")
        }
    }

    /// A file that nobody else can name and that is gone with this process.
    private func temporaryFile() throws -> Int32 {
        var path = Array("\(context.order.store)/staging/create-XXXXXX".utf8CString)
        let descriptor = mkstemp(&path)
        guard descriptor >= 0, unlink(path) == 0, fchmod(descriptor, 0o644) == 0 else { throw failed("make") }
        return descriptor
    }

    private func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) throws {
        var done = 0
        while done < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failed("write") }
            done += count
        }
    }

    private func failed(_ what: String) -> JobFailure {
        JobFailure(
            .storage, "cannot \(what) the new weights in the store: \(String(cString: strerror(errno)))")
    }

    private func read(_ descriptor: Int32, _ name: String) throws -> [UInt8] {
        let limit = 256 << 20
        let size = lseek(descriptor, 0, SEEK_END)
        guard size >= 0, size <= limit else {
            throw JobFailure(.badInput, "\(name) is no regular file of at most \(limit) bytes")
        }
        var bytes = [UInt8](repeating: 0, count: size)
        var done = 0
        while done < size {
            let count = bytes[done...].withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress, $0.count, off_t(done))
            }
            guard count > 0 else {
                throw JobFailure(.badInput, "\(name) cannot be read, or became shorter meanwhile")
            }
            done += count
        }
        return bytes
    }
}
