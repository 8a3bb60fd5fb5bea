// SPDX-License-Identifier: Apache-2.0

import CKernels
import Engine
import Testing

/// The kernels of every level that this processor has, to be held against each other.
struct KernelLevels {
    /// Sizes with all kinds of tails.
    static let sizes = [1, 2, 3, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100, 127, 129, 257]

    let scalar: ck_kernels
    let vectors: [ck_kernels]

    init() throws {
        scalar = try #require(ck_kernels_at(Int32(CK_LEVEL_SCALAR))).pointee
        vectors = (1...2).compactMap { ck_kernels_at(Int32($0))?.pointee }
    }

    func values(_ count: Int, seed: UInt64, spread: Double = 1.5) -> [Float] {
        var random = RandomSource(seed: seed)
        return (0..<count).map { _ in Float(spread * random.normal()) }
    }

    /// Runs `body` on every level from the same start, and compares what it left in its buffer.
    func compare(
        _ size: Int, tolerance: Float = 2e-6, from start: [Float], function: String = #function,
        _ body: (ck_kernels, inout [Float]) -> Void
    ) {
        var expected = start
        body(scalar, &expected)
        let scale = max(1, expected.filter(\.isFinite).map(abs).max() ?? 1)
        var first: [Float]?
        for kernels in vectors {
            var actual = start
            body(kernels, &actual)
            let worst = zip(actual, expected).map { abs($0 - $1) }.max() ?? 0
            #expect(worst <= tolerance * scale, "\(function), size \(size), level \(kernels.level): \(worst)")
            if let first {
                #expect(
                    actual.map(\.bitPattern) == first.map(\.bitPattern),
                    "\(function), size \(size): level \(kernels.level) has other bits")
            }
            first = first ?? actual
        }
    }
}
