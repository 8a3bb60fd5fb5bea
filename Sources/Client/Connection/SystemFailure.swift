// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A failed system call, in words.
package struct SystemFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The error number.
    package let number: Int32

    /// The failure of the call that has just returned.
    package init() { number = errno }
    /// The failure with a known number.
    package init(number: Int32) { self.number = number }

    package var description: String { strerror(number).map { String(cString: $0) } ?? "error \(number)" }
}

/// Repeats a call that a signal interrupted.
/// - Throws: ``SystemFailure`` when it returns -1.
@discardableResult
package func retrying<Value: SignedInteger>(_ call: () -> Value) throws(SystemFailure) -> Value {
    while true {
        let value = call()
        if value != -1 { return value }
        let failure = SystemFailure()
        if failure.number != EINTR { throw failure }
    }
}
