// SPDX-License-Identifier: Apache-2.0

/// The exit statuses of the programs (the 64–78 block is `sysexits.h`).
package enum ExitCode: Int32, Sendable, CaseIterable {
    case ok = 0
    case jobFailed = 1
    case gateRefused = 3
    case cancelledOrLost = 4
    case notFound = 5
    case conflict = 6
    case timedOut = 8
    case usage = 64
    case badInput = 65
    case notReachable = 69
    case internalError = 70
    case storage = 74
    case tryAgain = 75
    case protocolMismatch = 76
    case notPermitted = 77
    case configuration = 78
    case detached = 130
}
