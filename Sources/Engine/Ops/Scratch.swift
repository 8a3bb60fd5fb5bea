// SPDX-License-Identifier: Apache-2.0

/// A thread's memory during one operation, handed out from its beginning.
struct Scratch {
    /// Floats that parts begin at multiples of: a cache line.
    static let unit = 16

    private var next: UnsafeMutablePointer<Float>

    init(_ base: UnsafeMutablePointer<Float>) { next = base }

    /// Room for `count` floats.
    mutating func take(_ count: Int) -> UnsafeMutablePointer<Float> {
        defer { next += (count + Self.unit - 1) / Self.unit * Self.unit }
        return next
    }
}
