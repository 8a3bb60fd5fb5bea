// SPDX-License-Identifier: Apache-2.0

import CKernels
import Checkpoints
import Protocol

/// Writes a model that has no checkpoint yet as one safetensors file.
package struct NewCheckpoint {
    private let model: Transformer
    private let type: DType

    /// A writer of `model` in the type that its configuration names, or in F32.
    /// - Throws: ``EngineError`` with `.invalidConfiguration` for a type that weights cannot be stored in.
    package init(_ model: Transformer) throws(EngineError) {
        self.model = model
        switch model.configuration.storedType {
        case nil, "float32": type = .f32
        case "bfloat16": type = .bf16
        case "float16": type = .f16
        case let other?:
            throw EngineError(
                .invalidConfiguration, "config.json stores weights as \(other)",
                hint: "A new model's torch_dtype is float32, bfloat16 or float16.")
        }
    }

    /// Gives the file's bytes, in order, to `write`: the header, then one tensor after another, in pieces.
    ///
    /// Values are rounded once, nearest, ties to even.
    package func emit(to write: (UnsafeRawBufferPointer) throws -> Void) throws {
        try header().withUnsafeBytes(write)
        let piece = 1 << 20
        let kernels = model.context.kernels
        let halves = UnsafeMutablePointer<UInt16>.allocate(capacity: piece)
        defer { halves.deallocate() }
        for entry in model.table.entries {
            for start in stride(from: 0, to: entry.count, by: piece) {
                let count = min(piece, entry.count - start)
                let values = model.parameters.base + entry.offset + start
                if type == .f32 {
                    try write(UnsafeRawBufferPointer(start: values, count: count * 4))
                } else {
                    (type == .f16 ? kernels.pointee.to_f16 : kernels.pointee.to_bf16)(halves, values, count)
                    try write(UnsafeRawBufferPointer(start: halves, count: count * 2))
                }
            }
        }
    }

    /// The 8 bytes of length and the JSON, filled up with spaces so that data begin at a multiple of 8.
    private func header() -> [UInt8] {
        var object = JSONObject()
        object["__metadata__"] = ["format": "pt"]
        var end = 0
        for entry in model.table.entries {
            let size = entry.count * type.bits / 8
            object[entry.name] = [
                "dtype": .string(type.rawValue), "shape": .array(entry.shape.map { .integer(Int64($0)) }),
                "data_offsets": [.integer(Int64(end)), .integer(Int64(end + size))],
            ]
            end += size
        }
        var json = JSONValue.object(object).serialized()
        json += [UInt8](repeating: 0x20, count: (8 - json.count % 8) % 8)
        return withUnsafeBytes(of: UInt64(json.count).littleEndian) { Array($0) } + json
    }
}
