// SPDX-License-Identifier: Apache-2.0

import CKernels

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension ComputeContext {
    /// y(N,C) = the rows `ids` of `table`, or y += them.
    func gather(
        _ table: UnsafePointer<Float>, _ ids: [Int32], width: Int, into y: UnsafeMutablePointer<Float>,
        accumulate: Bool = false
    ) {
        forRows(ids.count, width: width) { block in
            for row in block {
                let source = table + Int(ids[row]) * width
                if accumulate {
                    kernels.pointee.accumulate(y + row * width, source, width)
                } else {
                    memcpy(y + row * width, source, width * MemoryLayout<Float>.stride)
                }
            }
        }
    }

    /// table[ids[n]] += x[n] for each row n, in order: threads share out columns, never rows.
    ///
    /// - Parameter skipped: A row of the table that gets nothing.
    func scatterAdd(
        _ x: UnsafePointer<Float>, _ ids: [Int32], width: Int, skipping skipped: Int32? = nil,
        into table: UnsafeMutablePointer<Float>
    ) {
        forBlocks(of: 64, in: width) { columns, _ in
            let start = columns.lowerBound
            for (row, id) in ids.enumerated() where id != skipped {
                kernels.pointee.accumulate(
                    table + Int(id) * width + start, x + row * width + start, columns.count)
            }
        }
    }
}
