// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Whether two blocks hold the same bytes.
func equal(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    guard a.count > 0, let left = a.baseAddress, let right = b.baseAddress else { return true }
    return memcmp(left, right, a.count) == 0
}

/// Random hexadecimal digits for names that must not meet.
func randomName() -> String {
    let (a, b) = (UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max))
    return String(a, radix: 16) + String(b, radix: 16)
}

/// The number of this process.
func processNumber() -> Int { Int(getpid()) }
