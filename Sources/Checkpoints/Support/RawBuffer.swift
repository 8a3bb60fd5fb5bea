// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A block of memory with one owner at a time.
///
/// Large blocks come from the kernel and go back to it: through the allocator, chunks freed by one thread stay
/// in its arena and the process never gets smaller. Sendable by agreement: whoever holds it hands it on, or all
/// who share it only read.
final class RawBuffer: @unchecked Sendable {
    private(set) var bytes: UnsafeMutableRawBufferPointer
    private var isMapped: Bool

    private static let large = 1 << 20

    init(_ count: Int) {
        (bytes, isMapped) = Self.allocate(count)
    }

    deinit { free() }

    /// Makes room for `count` bytes; what was in it is lost when it grows.
    func reserve(_ count: Int) {
        guard bytes.count < count else { return }
        free()
        (bytes, isMapped) = Self.allocate(count)
    }

    /// The first `count` bytes.
    func prefix(_ count: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
    }

    private static func allocate(_ count: Int) -> (UnsafeMutableRawBufferPointer, Bool) {
        if count >= large,
            let start = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            start != UnsafeMutableRawPointer(bitPattern: -1)
        {
            return (UnsafeMutableRawBufferPointer(start: start, count: count), true)
        }
        return (.allocate(byteCount: max(count, 1), alignment: 64), false)
    }

    private func free() {
        if isMapped { munmap(bytes.baseAddress, bytes.count) } else { bytes.deallocate() }
    }
}
