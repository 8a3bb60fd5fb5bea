// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol

/// A small Hugging Face directory with made-up weights, for tests that need bytes rather than a language model.
package struct SyntheticCheckpoint {
    /// A tensor to write.
    package struct Tensor {
        package var name: String
        package var dtype: String
        package var shape: [Int]
        /// Little-endian bytes.
        package var bytes: [UInt8]

        /// A tensor with given bytes.
        package init(_ name: String, _ dtype: String, _ shape: [Int], _ bytes: [UInt8]) {
            self.name = name
            self.dtype = dtype
            self.shape = shape
            self.bytes = bytes
        }
    }

    /// The tensors, in file order.
    package var tensors: [Tensor]
    /// Side files by relative path.
    package var sideFiles: [String: String] = [
        "config.json": #"{"model_type": "made-up", "architectures": ["MadeUp"]}"#
    ]

    /// A checkpoint with given tensors.
    package init(tensors: [Tensor]) { self.tensors = tensors }

    /// Normal-looking bf16 matrices.
    /// - Parameters:
    ///   - seed: Decides every value; equal seeds give equal files.
    ///   - matrices: How many.
    ///   - side: Rows and columns of each.
    package init(seed: UInt64, matrices: Int, side: Int) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        tensors = (0..<matrices).map { index in
            var bytes = [UInt8](repeating: 0, count: side * side * 2)
            for position in stride(from: 0, to: bytes.count, by: 2) {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                // A sign, an exponent near that of 0.02, and a random mantissa.
                let bits = UInt16(truncatingIfNeeded: state)
                let value = (bits & 0x8000) | ((0x78 + (bits >> 12 & 3)) << 7) | (bits & 0x7F)
                bytes[position] = UInt8(truncatingIfNeeded: value)
                bytes[position + 1] = UInt8(truncatingIfNeeded: value >> 8)
            }
            return Tensor("layer.\(index).weight", "BF16", [side, side], bytes)
        }
    }

    /// The bytes of a safetensors file with these tensors.
    package static func safetensors(_ tensors: [Tensor], metadata: [String: String] = ["format": "pt"])
        -> [UInt8]
    {
        var header = JSONObject()
        header["__metadata__"] = .object(
            metadata.sorted { $0.key < $1.key }.reduce(into: JSONObject()) { $0[$1.key] = .string($1.value) })
        var offset = 0
        for tensor in tensors {
            header[tensor.name] = [
                "dtype": .string(tensor.dtype), "shape": .array(tensor.shape.map { .integer(Int64($0)) }),
                "data_offsets": [.integer(Int64(offset)), .integer(Int64(offset + tensor.bytes.count))],
            ]
            offset += tensor.bytes.count
        }
        return file(header: JSONValue.object(header).serializedString(), data: tensors.flatMap(\.bytes))
    }

    /// A safetensors file from its header's text, whatever it says, and its data.
    package static func file(header: String, data: [UInt8]) -> [UInt8] {
        var text = Array(header.utf8)
        while text.count % 8 != 0 { text.append(0x20) }
        return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> ($0 * 8)) } + text + data
    }

    /// Writes the directory; with more than one shard also the index.
    package func write(to directory: String, shards: Int = 1) throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        if shards == 1 {
            try Self.write(Self.safetensors(tensors), directory + "/model.safetensors")
        } else {
            var map = JSONObject()
            for shard in 0..<shards {
                let name = String(format: "model-%05d-of-%05d.safetensors", shard + 1, shards)
                let mine = tensors.enumerated().filter { $0.offset % shards == shard }.map(\.element)
                for tensor in mine { map[tensor.name] = .string(name) }
                try Self.write(Self.safetensors(mine), "\(directory)/\(name)")
            }
            let index: JSONValue = [
                "metadata": ["total_size": .integer(Int64(tensors.reduce(0) { $0 + $1.bytes.count }))],
                "weight_map": .object(map),
            ]
            try Self.write(index.serialized(), directory + "/model.safetensors.index.json")
        }
        for (path, text) in sideFiles { try Self.write(Array(text.utf8), "\(directory)/\(path)") }
    }

    /// Writes one file.
    package static func write(_ bytes: [UInt8], _ path: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }
}
