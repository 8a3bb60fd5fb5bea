// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Foundation
import Protocol

/// Versions in a store of their own, made from bytes.
final class TestVersions {
    /// A tensor to be written.
    struct Tensor {
        var name: String
        var dtype: String
        var shape: [Int]
        var bytes: [UInt8]

        /// A tensor of f32 values.
        static func f32(_ name: String, _ values: [Float], shape: [Int]? = nil) -> Tensor {
            Tensor(
                name: name, dtype: "F32", shape: shape ?? [values.count],
                bytes: values.flatMap { value in
                    withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
                })
        }
    }

    private let path = NSTemporaryDirectory() + "engine-tests-" + UUID().uuidString
    let store: ObjectStore

    init() throws { store = try ObjectStore(root: path) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Imports tensors and a config.json as a version.
    func version(_ tensors: [Tensor], config: [UInt8] = Array("{}".utf8)) throws -> CheckpointReader {
        var header = JSONObject()
        var data: [UInt8] = []
        for tensor in tensors {
            header[tensor.name] = [
                "dtype": .string(tensor.dtype), "shape": .array(tensor.shape.map { .integer(Int64($0)) }),
                "data_offsets": [
                    .integer(Int64(data.count)), .integer(Int64(data.count + tensor.bytes.count)),
                ],
            ]
            data += tensor.bytes
        }
        let json = JSONValue.object(header).serialized()
        let length = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Array($0) }
        return try version(safetensors: length + json + data, config: config)
    }

    /// Imports a safetensors file and a config.json as a version.
    func version(safetensors: [UInt8], config: [UInt8] = Array("{}".utf8)) throws -> CheckpointReader {
        let contents = [("config.json", config), ("model.safetensors", safetensors)]
        var files: [ImportFile] = []
        defer { for file in files { close(file.descriptor) } }
        for (name, bytes) in contents {
            let target = path + "/" + UUID().uuidString
            try Data(bytes).write(to: URL(filePath: target))
            files.append(ImportFile(path: name, descriptor: open(target, O_RDONLY)))
            try FileManager.default.removeItem(atPath: target)
        }
        let made = try CheckpointImporter.import(files: files, store: store)
        return try CheckpointReader(store: store, manifestID: made.manifestID)
    }

    /// The version that a rewrite made.
    func version(_ made: CheckpointRewriter.Result) throws -> CheckpointReader {
        try CheckpointReader(store: store, manifestID: made.manifestID)
    }
}

extension Transformer {
    /// A copy of all parameters: a pointer into them would not keep them alive.
    var weights: [Float] { parameters.values(0..<parameters.count) }
}
