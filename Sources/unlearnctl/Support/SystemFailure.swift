// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A failed system call, in words.
struct SystemFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The error number.
    let number: Int32

    /// The failure of the call that has just returned.
    init() { number = errno }
    /// The failure with a known number.
    init(number: Int32) { self.number = number }

    var description: String { strerror(number).map { String(cString: $0) } ?? "error \(number)" }
}

/// Repeats a call that a signal interrupted.
/// - Throws: ``SystemFailure`` when it returns -1.
@discardableResult
func retrying<Value: SignedInteger>(_ call: () -> Value) throws(SystemFailure) -> Value {
    while true {
        let value = call()
        if value != -1 { return value }
        let failure = SystemFailure()
        if failure.number != EINTR { throw failure }
    }
}
