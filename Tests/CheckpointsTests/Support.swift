// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import Protocol
import Testing

/// A directory that lives as long as the test that made it.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        // In memory where there is such a place: these tests synchronise thousands of files.
        let parent =
            FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm/" : NSTemporaryDirectory()
        path = parent + "checkpoints-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func store(_ fileSystem: any FileSystem = PosixFileSystem()) throws -> ObjectStore {
        try ObjectStore(root: path + "/store", fileSystem: fileSystem)
    }

    /// Writes a file and returns its path.
    @discardableResult
    func write(_ bytes: [UInt8], _ name: String) throws -> String {
        let target = path + "/" + name
        let parent = (target as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: target))
        return target
    }
}

/// Opened files, closed at the end.
final class OpenedFiles {
    private(set) var files: [ImportFile] = []

    init(_ directory: TemporaryDirectory, _ contents: [(String, [UInt8])]) throws {
        for (index, (name, bytes)) in contents.enumerated() {
            let path = try directory.write(bytes, "in-\(UUID().uuidString)-\(index)")
            files.append(ImportFile(path: name, descriptor: open(path, O_RDONLY)))
        }
    }

    init(_ directory: String) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: directory).sorted() {
            files.append(ImportFile(path: name, descriptor: open(directory + "/" + name, O_RDONLY)))
        }
    }

    deinit { for file in files { close(file.descriptor) } }
}

/// Makes safetensors files.
struct TestTensor {
    var name: String
    var dtype: DType
    var shape: [Int]
    var bytes: [UInt8]

    init(_ name: String, _ dtype: DType, _ shape: [Int], _ bytes: [UInt8]) {
        (self.name, self.dtype, self.shape, self.bytes) = (name, dtype, shape, bytes)
    }

    /// Random bytes of the right number.
    init(_ name: String, _ dtype: DType, _ shape: [Int], _ random: inout TestRandom) {
        self.init(name, dtype, shape, random.weights(dtype, shape.reduce(1, *)))
    }

    static func file(_ tensors: [TestTensor], padding: Int = 0) -> [UInt8] {
        var entries: [String] = []
        var data: [UInt8] = []
        for tensor in tensors {
            entries.append(
                #""\#(tensor.name)":{"dtype":"\#(tensor.dtype.rawValue)","shape":\#(tensor.shape),"#
                    + #""data_offsets":[\#(data.count),\#(data.count + tensor.bytes.count)]}"#)
            data += tensor.bytes
        }
        return rawFile(
            "{" + entries.joined(separator: ",") + "}" + String(repeating: " ", count: padding), data)
    }

    static func rawFile(_ header: String, _ data: [UInt8] = []) -> [UInt8] {
        rawFile(Array(header.utf8), data)
    }

    static func rawFile(_ header: [UInt8], _ data: [UInt8] = []) -> [UInt8] {
        length(UInt64(header.count)) + header + data
    }

    static func length(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}

/// A small generator with a seed (splitmix64).
struct TestRandom: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: (count + 7) / 8 * 8) { buffer, initialized in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            for at in stride(from: 0, to: count, by: 8) {
                raw.storeBytes(of: next(), toByteOffset: at, as: UInt64.self)
            }
            initialized = count
        }
    }

    /// Numbers around zero for floating types, any bytes for others.
    mutating func weights(_ dtype: DType, _ count: Int) -> [UInt8] {
        guard dtype == .f32 || dtype == .bf16 else { return bytes((count * dtype.bits + 7) / 8) }
        let width = dtype.bits / 8
        return [UInt8](unsafeUninitializedCapacity: count * width) { buffer, initialized in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            for index in 0..<count {
                // The sum of four uniform numbers, all out of one draw.
                let draw = next()
                let sum =
                    Int32(Int16(truncatingIfNeeded: draw)) + Int32(Int16(truncatingIfNeeded: draw >> 16))
                    + Int32(Int16(truncatingIfNeeded: draw >> 32))
                    + Int32(Int16(truncatingIfNeeded: draw >> 48))
                let bits = (Float(sum) * 5e-7).bitPattern
                if width == 4 {
                    raw.storeBytes(of: bits, toByteOffset: index * 4, as: UInt32.self)
                } else {
                    raw.storeBytes(of: UInt16(bits >> 16), toByteOffset: index * 2, as: UInt16.self)
                }
            }
            initialized = count * width
        }
    }
}

/// Third-party files outside the repository.
enum SharedData {
    static let root: String =
        ProcessInfo.processInfo.environment["UNLEARN_SHARED"]
        ?? URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared").path

    static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root + "/" + path) }
}

extension ObjectStore {
    /// Imports contents given as bytes.
    func take(
        _ contents: [(String, [UInt8])], skipOtherWeights: Bool = false, threads: Int = 2
    ) throws -> CheckpointImporter.Result {
        let directory = try TemporaryDirectory()
        let opened = try OpenedFiles(directory, contents)
        return try CheckpointImporter.import(
            files: opened.files, store: self, skipOtherWeights: skipOtherWeights, threads: threads)
    }

    func objectPath(_ id: Digest) -> String {
        "\(root)/objects/\(id.hex.prefix(2))/\(id.hex.dropFirst(2).prefix(2))/\(id.hex)"
    }
}

/// The code of the ``CheckpointError`` that `body` throws, or `nil`.
func failureCode(_ body: () throws -> Void) -> CheckpointError.Code? {
    do {
        try body()
        return nil
    } catch let error as CheckpointError {
        return error.code
    } catch {
        Issue.record("another error: \(error)")
        return nil
    }
}

/// Changes a stored (read-only) file.
func damage(_ path: String, _ change: (inout [UInt8]) -> Void) throws {
    var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    change(&bytes)
    try FileManager.default.removeItem(atPath: path)
    try Data(bytes).write(to: URL(fileURLWithPath: path))
}

let config = ("config.json", Array(#"{"model_type":"test"}"#.utf8))
