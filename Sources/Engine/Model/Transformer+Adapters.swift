// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Low-rank adapters of a model's projections.
extension Transformer {
    /// Whether the model has adapters.
    package var hasAdapters: Bool { table.entries.contains(where: \.isAdapter) }

    /// Draws new adapters as PEFT does: A uniform (Kaiming, a = √5), B zero, so that they change nothing yet.
    package func initializeAdapters(seed: UInt64) {
        ParameterInitializer.fill(
            parameters, table, seed: seed, context: context, where: \.isAdapter)
    }

    /// Adds the adapters to the matrices that they belong to, in f32, and sets their B to zero. All ranks call it where they
    /// share the matrices out.
    package func mergeAdapters() throws {
        guard hasAdapters else { return }
        func merge(_ layer: Int) {
            for linear in layout.blocks[layer].projections {
                if let adapter = linear.adapter { linear.merge(adapter, context, parameters.base) }
            }
        }
        if let shards { return try shards.changeBlocks(merge) }
        for layer in layout.blocks.indices { merge(layer) }
    }

    /// A second set of weights to compare with while this model is trained: a copy of the present ones. The
    /// frozen weights of a model with adapters are their own reference, and no copy is made.
    ///
    /// - Throws: ``EngineError`` with `.resources`.
    package func makeReference() throws(EngineError) -> FloatStorage {
        if hasAdapters { return parameters }
        let copy = try makeBuffer()
        copy.base.update(from: parameters.base, count: copy.count)
        return copy
    }

    /// Runs `body` with the weights of a reference: where that is the model's own, as if it had no adapters.
    func withReference<Result>(
        _ reference: FloatStorage, _ body: () throws(EngineError) -> Result
    ) throws(EngineError) -> Result {
        guard reference === parameters else { return try body() }
        let matrices = layout.projections.compactMap { linear in
            linear.adapter.map { $0.b..<$0.b + linear.outputs * $0.rank }
        }
        let kept = matrices.map { parameters.values($0) }
        parameters.clear(matrices)
        defer {
            for (range, values) in zip(matrices, kept) {
                (parameters.base + range.lowerBound).update(from: values, count: values.count)
            }
        }
        return try body()
    }

    /// The adapters as PEFT saves them: `adapter_config.json` and `adapter_model.safetensors`; none without adapters.
    package func adapterFiles() -> [String: [UInt8]] {
        let entries = table.entries.filter(\.isAdapter)
        guard let settings = adapterSettings, !entries.isEmpty else { return [:] }
        var header = JSONObject()
        header["__metadata__"] = ["format": "pt"]
        var data: [UInt8] = []
        for entry in entries {
            let start = data.count
            let values = UnsafeRawBufferPointer(start: parameters.base + entry.offset, count: entry.count * 4)
            data += values
            header["base_model.model." + entry.name] = [
                "dtype": "F32", "shape": .array(entry.shape.map { .integer(Int64($0)) }),
                "data_offsets": [.integer(Int64(start)), .integer(Int64(data.count))],
            ]
        }
        var json = JSONValue.object(header).serialized()
        json += [UInt8](repeating: 0x20, count: (8 - json.count % 8) % 8)
        let length = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Array($0) }

        // The last part of each module's name: "q_proj" of "model.layers.0.self_attn.q_proj.lora_A.weight".
        let modules = Set(
            entries.compactMap { $0.name.split(separator: ".").dropLast(2).last.map(String.init) })
        let layers = Set(entries.compactMap(\.layer))
        let isTransposed = layout.projections.contains {
            $0.adapter != nil && $0.layout == .inputsFirst
        }
        let configuration: JSONValue = [
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": .null,
            "r": .integer(Int64(settings.rank)), "lora_alpha": .number(settings.alpha),
            "target_modules": .array(modules.sorted().map { .string($0) }),
            "layers_to_transform": settings.layers == nil
                ? .null : .array(layers.sorted().map { .integer(Int64($0)) }),
            "bias": "none", "fan_in_fan_out": .bool(isTransposed), "inference_mode": true,
            "init_lora_weights": true, "lora_dropout": 0, "modules_to_save": .null, "use_dora": false,
            "use_rslora": false, "rank_pattern": [:], "alpha_pattern": [:],
        ]
        return [
            LowRankAdapter.configurationName: configuration.serialized(sortedKeys: true),
            LowRankAdapter.weightsName: length + json + data,
        ]
    }
}
