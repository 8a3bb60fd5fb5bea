// SPDX-License-Identifier: Apache-2.0

/// How a file is cut into objects: a pure function of the file, never of what the store holds.
///
/// Cuts are relative to each tensor's start, so that the same tensor gives the same objects in another shard,
/// under another name or behind another header.
package struct ChunkPlan: Hashable, Sendable {
    /// Longest region, bytes.
    package static let grid = 16 << 20
    /// Tensors smaller than this are packed together.
    package static let small = 256 << 10
    /// Longest pack, bytes.
    package static let pack = 1 << 20

    /// A piece of a file that becomes one object.
    package struct Region: Hashable, Sendable {
        /// First byte in the file.
        package var offset: Int
        /// Bytes.
        package var size: Int
        package var kind: ObjectKind
        /// The type of all its elements, if they have one in common.
        package var dtype: DType?
    }

    /// The planner's name, kept in manifests.
    package var name: String
    /// The regions; they cover the file in order.
    package var regions: [Region]

    /// The plan of a safetensors file.
    package init(_ header: SafetensorsHeader) {
        name = "safetensors-v1"
        regions = Self.cut(0, header.size, .header, nil)
        var pack: Region?
        for tensor in header.tensors where tensor.size > 0 {
            guard tensor.size < Self.small else {
                if let full = pack { regions.append(full) }
                pack = nil
                regions += Self.cut(tensor.offset, tensor.size, .chunk, tensor.dtype)
                continue
            }
            if var open = pack, open.size + tensor.size <= Self.pack {
                open.size += tensor.size
                if open.dtype != tensor.dtype { open.dtype = nil }
                pack = open
            } else {
                if let full = pack { regions.append(full) }
                pack = Region(offset: tensor.offset, size: tensor.size, kind: .chunk, dtype: tensor.dtype)
            }
        }
        if let full = pack { regions.append(full) }
    }

    /// The plan of a file that is not parsed.
    package init(blobOfSize size: Int) {
        name = "blob-v1"
        regions = Self.cut(0, size, .blob, nil)
    }

    private static func cut(_ offset: Int, _ size: Int, _ kind: ObjectKind, _ dtype: DType?) -> [Region] {
        stride(from: 0, to: size, by: grid).map {
            Region(offset: offset + $0, size: min(grid, size - $0), kind: kind, dtype: dtype)
        }
    }
}
