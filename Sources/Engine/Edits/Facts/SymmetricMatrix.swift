// SPDX-License-Identifier: Apache-2.0

/// A positive definite matrix in f64, its lower triangle alone: sums of outer products, and the solution of A·x = b.
///
/// Every value is one chain of operations in a fixed order, so results are the same for any number of threads.
final class SymmetricMatrix {
    /// Rows.
    let size: Int
    private let base: UnsafeMutablePointer<Double>
    private let context: ComputeContext

    /// Zeros.
    init(size: Int, context: ComputeContext) {
        self.size = size
        self.context = context
        base = .allocate(capacity: size * size)
        base.initialize(repeating: 0, count: size * size)
    }

    deinit { base.deallocate() }

    /// The sum of the diagonal.
    var trace: Double { (0..<size).reduce(0) { $0 + base[$1 * size + $1] } }

    /// Adds Σ x·xᵀ over `count` rows of f32 values, one behind the other.
    func add(_ rows: UnsafePointer<Float>, count: Int) {
        context.forBlocks(of: 8, in: size) { block, _ in
            for i in block {
                let target = base + i * size
                for row in 0..<count {
                    let x = rows + row * size
                    let factor = Double(x[i])
                    for j in 0...i { target[j] += factor * Double(x[j]) }
                }
            }
        }
    }

    /// Adds x·xᵀ.
    func add(_ x: [Double]) {
        context.forBlocks(of: 64, in: size) { block, _ in
            for i in block {
                let target = base + i * size
                for j in 0...i { target[j] += x[i] * x[j] }
            }
        }
    }

    /// Multiplies by `factor`, then adds `ridge` to the diagonal.
    func scale(_ factor: Double, ridge: Double) {
        context.forBlocks(of: 64, in: size) { block, _ in
            for i in block {
                let target = base + i * size
                for j in 0...i { target[j] *= factor }
                target[i] += ridge
            }
        }
    }

    /// Turns A into its Cholesky factor L, A = L·Lᵀ, 64 columns at a time.
    ///
    /// - Returns: Whether it is positive definite; else it is of no use any more.
    func factor() -> Bool {
        let n = size
        for start in stride(from: 0, to: n, by: 64) {
            let end = min(n, start + 64)
            context.forBlocks(of: 16, in: n - start) { block, _ in
                for i in block.lowerBound + start..<block.upperBound + start {
                    let row = base + i * n
                    for j in start..<min(end, i + 1) { row[j] -= Self.dot(row, base + j * n, start) }
                }
            }
            for j in start..<end {
                let pivotRow = base + j * n
                let pivot = pivotRow[j] - Self.dot(pivotRow + start, pivotRow + start, j - start)
                guard pivot > 0, pivot.isFinite else { return false }
                pivotRow[j] = pivot.squareRoot()
                for i in j + 1..<max(end, j + 1) {
                    let row = base + i * n
                    row[j] = (row[j] - Self.dot(row + start, pivotRow + start, j - start)) / pivotRow[j]
                }
            }
            context.forBlocks(of: 16, in: n - end) { block, _ in
                for i in block.lowerBound + end..<block.upperBound + end {
                    let row = base + i * n
                    for j in start..<end {
                        let other = base + j * n
                        row[j] = (row[j] - Self.dot(row + start, other + start, j - start)) / other[j]
                    }
                }
            }
        }
        return true
    }

    /// x with L·Lᵀ·x = b, after ``factor()``.
    func solve(_ b: [Double]) -> [Double] {
        var x = b
        x.withUnsafeMutableBufferPointer { buffer in
            guard let x = buffer.baseAddress else { return }
            for i in 0..<size { x[i] = (x[i] - Self.dot(base + i * size, x, i)) / base[i * size + i] }
            for i in (0..<size).reversed() {
                let row = base + i * size
                x[i] /= row[i]
                let value = x[i]
                for j in 0..<i { x[j] -= value * row[j] }
            }
        }
        return x
    }

    /// The inner product of two runs.
    private static func dot(
        _ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>, _ count: Int
    ) -> Double {
        var sums = SIMD8<Double>()
        var index = 0
        while index + 8 <= count {
            sums +=
                UnsafeRawPointer(a + index).loadUnaligned(as: SIMD8<Double>.self)
                * UnsafeRawPointer(b + index).loadUnaligned(as: SIMD8<Double>.self)
            index += 8
        }
        var sum = sums.sum()
        while index < count {
            sum += a[index] * b[index]
            index += 1
        }
        return sum
    }
}
