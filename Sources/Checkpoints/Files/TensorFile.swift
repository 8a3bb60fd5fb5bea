// SPDX-License-Identifier: Apache-2.0

import Protocol

/// A safetensors file that is not part of a version, read through an open descriptor.
package struct TensorFile: Sendable {
    /// What it holds.
    package let header: SafetensorsHeader
    private let source: SourceFile

    /// Reads and checks the header.
    ///
    /// - Parameter file: Its descriptor stays open as long as tensors are read.
    /// - Throws: ``CheckpointError`` `.invalidInput`, `.sourceChanged`, `.ioFailure`.
    package init(_ file: ImportFile) throws {
        source = try SourceFile(file, PosixFileSystem())
        let prefix = try source.read(0..<min(8, source.size))
        let length = try SafetensorsHeader.length(prefix, fileSize: source.size, path: file.path)
        header = try SafetensorsHeader(
            json: source.read(8..<8 + length), fileSize: source.size, path: file.path)
    }

    /// Some rows of a matrix (rows, columns) of floating-point numbers, as doubles.
    ///
    /// - Throws: ``CheckpointError`` `.sourceChanged`, `.ioFailure`.
    package func rows(_ rows: Range<Int>, of tensor: SafetensorsHeader.Tensor) throws -> [Double] {
        let columns = tensor.shape.dropFirst().reduce(1, *)
        let width = columns * tensor.dtype.bits / 8
        let bytes = try source.read(
            tensor.offset + rows.lowerBound * width..<tensor.offset + rows.upperBound * width)
        return [Double](unsafeUninitializedCapacity: rows.count * columns) { values, count in
            count = rows.count * columns
            bytes.withUnsafeBytes {
                tensor.dtype.decode($0, into: UnsafeMutableBufferPointer(rebasing: values[..<count]))
            }
        }
    }

    /// The SHA-256 of all bytes.
    ///
    /// - Throws: ``CheckpointError`` `.sourceChanged`, `.ioFailure`.
    package func digest() throws -> Digest {
        var hash = ContentHash()
        for start in stride(from: 0, to: source.size, by: 1 << 20) {
            try source.read(start..<min(source.size, start + 1 << 20)).withUnsafeBytes { hash.update($0) }
        }
        try source.checkUnchanged()
        return hash.finish()
    }

    /// All bytes of a small file.
    ///
    /// - Parameter limit: Most bytes that it may have.
    /// - Throws: ``CheckpointError`` `.invalidInput`, `.sourceChanged`, `.ioFailure`.
    package static func contents(of file: ImportFile, limit: Int) throws -> [UInt8] {
        let source = try SourceFile(file, PosixFileSystem())
        guard source.size <= limit else {
            throw CheckpointError(
                .invalidInput, "\(quoted(file.path)) has \(source.size) bytes; at most \(limit) are read",
                hint: "name the right file")
        }
        return try source.read(0..<source.size)
    }
}
