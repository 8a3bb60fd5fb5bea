// SPDX-License-Identifier: Apache-2.0

import CKernels

/// How panels are made and multiplied: of f32 values, of the same rounded to bfloat16, or of pairs of bfloat16.
struct PanelKernels: @unchecked Sendable {
    typealias Pack =
        @convention(c) (
            UnsafeMutablePointer<Float>, UnsafePointer<Float>, Int, Int32, Int, Int
        ) -> Void
    typealias Block =
        @convention(c) (
            Int, Int, Int, UnsafePointer<Float>, UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int,
            UnsafePointer<Float>?, Int, UnsafePointer<Float>?
        ) -> Void

    /// What ``rows`` and ``columns`` are at most.
    static let mostRows = 16
    static let mostColumns = 32

    /// Rows of a left panel, and columns of a right one.
    let rows: Int
    let columns: Int
    /// Values of k that stand in one place of a panel.
    let values: Int
    let packLeft: Pack
    let packRight: Pack
    let block: Block
    /// What packed f32 values still go through.
    let round: (@convention(c) (UnsafeMutablePointer<Float>, Int) -> Void)?

    /// Those of f32 values.
    init(_ kernels: ck_kernels, rounding: Bool) {
        rows = kernels.gemm_rows
        columns = kernels.gemm_columns
        values = 1
        packLeft = kernels.gemm_pack_left
        packRight = kernels.gemm_pack_right
        block = kernels.gemm_block
        round = rounding ? kernels.round_bf16 : nil
    }

    /// Those of pairs of bfloat16.
    init(_ kernels: ck_pair_kernels) {
        rows = kernels.gemm_rows
        columns = kernels.gemm_columns
        values = 2
        packLeft = kernels.gemm_pack_left
        packRight = kernels.gemm_pack_right
        block = kernels.gemm_block
        round = nil
    }

    /// Places that so many values of k take in a panel.
    func places(_ values: Int) -> Int { (values + self.values - 1) / self.values }
}
