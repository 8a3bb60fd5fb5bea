// SPDX-License-Identifier: Apache-2.0

import Protocol

/// What one version consists of: its files, the objects that they are cut into, its tensors, and how it was made.
///
/// Stored as an object of its own, as canonical JSON (sorted keys, no white space), so that everything about a
/// version but its name and history can be found again from the objects alone.
package struct Manifest: Hashable, Sendable {
    /// A piece of a file.
    package struct Region: Hashable, Sendable {
        /// The object that holds it.
        package var id: Digest
        /// Bytes.
        package var size: Int

        package init(id: Digest, size: Int) {
            self.id = id
            self.size = size
        }
    }

    /// One file.
    package struct File: Hashable, Sendable {
        /// Path relative to the checkpoint's directory.
        package var path: String
        /// Permission bits.
        package var mode: UInt32
        /// Bytes.
        package var size: Int
        /// SHA-256 of the whole file.
        package var sha256: Digest
        /// How it was cut.
        package var planner: String
        /// The pieces, in order; their sizes add up to `size`.
        package var regions: [Region]

        package init(
            path: String, mode: UInt32, size: Int, sha256: Digest, planner: String, regions: [Region]
        ) {
            self.path = path
            self.mode = mode
            self.size = size
            self.sha256 = sha256
            self.planner = planner
            self.regions = regions
        }
    }

    /// One tensor.
    package struct Tensor: Hashable, Sendable {
        package var name: String
        package var dtype: DType
        package var shape: [Int]
        /// Index of its file.
        package var file: Int
        /// First byte in the file.
        package var offset: Int
        /// Bytes.
        package var size: Int
        /// Index of the file's region that its first byte lies in; 0 for an empty tensor.
        package var firstRegion: Int
        /// How many regions it lies in; it shares the first when it is packed with others.
        package var regionCount: Int

        /// Number of elements.
        package var elements: Int { shape.reduce(1, *) }
    }

    /// Files in the order of their paths' bytes.
    package var files: [File]
    /// Tensors in the order of files and, within one, of their data.
    package var tensors: [Tensor]
    /// How it was made: kind, specification, software, numeric environment.
    package var provenance: JSONObject
    /// The manifest of the version that it was made from.
    package var parent: Digest?
    /// Files that were made with the version and are no part of the checkpoint, such as the adapter that was merged
    /// into it: neither exported with it nor carried over by edits.
    package var attachments: [File] = []

    /// The version's identity: SHA-256 over a line `path NUL size NUL sha256 LF` for each file in the order of
    /// the paths' bytes. Equal content has equal digests, however it was made.
    package var versionDigest: Digest {
        var text: [UInt8] = []
        for file in files.sorted(by: { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }) {
            text += Array(file.path.utf8) + [0] + Array(String(file.size).utf8) + [0]
            text += Array(file.sha256.hex.utf8) + [0x0A]
        }
        return ContentHash.of(text)
    }

    /// All bytes of all files.
    package var size: Int { files.reduce(0) { $0 + $1.size } }

    /// Every object that the version needs besides the manifest itself.
    package var objects: Set<Digest> { Set((files + attachments).lazy.flatMap { $0.regions }.map(\.id)) }

    /// A manifest of files cut by `plans`, with the tensors of their headers.
    init(
        files: [File], headers: [SafetensorsHeader?], provenance: JSONObject, parent: Digest?
    ) {
        self.files = files
        self.provenance = provenance
        self.parent = parent
        tensors = []
        for (index, header) in headers.enumerated() {
            guard let header else { continue }
            let starts = Self.starts(files[index])
            for tensor in header.tensors {
                let span = Self.span(tensor.offset, tensor.size, starts)
                tensors.append(
                    Tensor(
                        name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, file: index,
                        offset: tensor.offset, size: tensor.size, firstRegion: span.first,
                        regionCount: span.count))
            }
        }
    }

    init(files: [File], tensors: [Tensor], provenance: JSONObject, parent: Digest?) {
        self.files = files
        self.tensors = tensors
        self.provenance = provenance
        self.parent = parent
    }

    /// The offset of each region in its file, and the file's size at the end.
    static func starts(_ file: File) -> [Int] {
        var starts = [0]
        starts.reserveCapacity(file.regions.count + 1)
        var end = 0
        for region in file.regions {
            end += region.size
            starts.append(end)
        }
        return starts
    }

    /// The regions that `size` bytes from `offset` lie in.
    static func span(_ offset: Int, _ size: Int, _ starts: [Int]) -> (first: Int, count: Int) {
        if size == 0 { return (0, 0) }
        let first = region(at: offset, starts)
        return (first, region(at: offset + size - 1, starts) - first + 1)
    }

    /// The region that byte `offset` lies in.
    static func region(at offset: Int, _ starts: [Int]) -> Int {
        var (low, high) = (0, starts.count - 1)
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= offset { low = middle } else { high = middle }
        }
        return low
    }
}
