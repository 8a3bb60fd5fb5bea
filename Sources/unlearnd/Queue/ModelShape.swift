// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol
import Synchronization

/// The numbers of a stored model that decide how much memory a job needs.
struct ModelShape: Hashable, Sendable {
    /// Elements of all floating tensors.
    var parameters: Int64
    /// Bytes of all files.
    var bytes: Int64
    /// 0 where the configuration does not say.
    var hidden: Int64 = 0
    var layers: Int64 = 0
    var vocabulary: Int64 = 0
    var context: Int64 = 0
    /// What a feed-forward layer’s down projection reads.
    var inner: Int64 = 0
    /// The text of `config.json`, if it is of a sane size.
    var configuration: String?

    /// Reads a version's manifest and its `config.json`; nothing of the weights.
    /// - Throws: ``CheckpointError`` for a manifest that cannot be read.
    init(store: ObjectStore, manifest id: Digest) throws {
        let reader = try CheckpointReader(store: store, manifestID: id)
        bytes = Int64(reader.manifest.size)
        parameters = reader.manifest.tensors.reduce(0) { $1.dtype.isFloating ? $0 + Int64($1.elements) : $0 }
        guard let file = reader.file("config.json"), reader.manifest.files[file].size <= 1 << 20,
            let text = try? reader.readFile("config.json"), let configuration = try? StrictJSON.parse(text)
        else { return }
        self.configuration = String(decoding: text, as: UTF8.self)
        func number(_ names: String...) -> Int64 {
            let value = names.lazy.compactMap { configuration[$0]?.integerValue }.first ?? 0
            return max(0, min(value, 1 << 24))
        }
        hidden = number("hidden_size", "n_embd", "d_model")
        layers = number("num_hidden_layers", "n_layer")
        vocabulary = number("vocab_size")
        inner = number("intermediate_size", "n_inner")
        context = number("max_position_embeddings", "n_positions", "n_ctx")
    }
}

/// The shapes of versions asked for lately: a manifest never changes, and large ones take long to read.
final class ModelShapes: Sendable {
    private static let capacity = 64
    private let store: ObjectStore
    private let known = Mutex<[Digest: ModelShape]>([:])

    /// Shapes of the versions in `store`.
    init(store: ObjectStore) { self.store = store }

    /// The shape of the version with that manifest.
    /// - Throws: ``CheckpointError`` for a manifest that cannot be read.
    func shape(of manifest: Digest) throws -> ModelShape {
        if let shape = known.withLock({ $0[manifest] }) { return shape }
        let shape = try ModelShape(store: store, manifest: manifest)
        known.withLock { known in
            if known.count >= Self.capacity { known = [:] }
            known[manifest] = shape
        }
        return shape
    }
}
