// SPDX-License-Identifier: Apache-2.0

import Engine
import Glibc
import Protocol

/// Writes a ``CardReport`` to standard output: `card`.
enum CardQuestion {
    /// Answers and returns the exit status.
    static func run() -> Int32 {
        var report: CardReport
        do {
            let card = try CUDACard()
            report = CardReport(
                name: card.name, memory: Int64(card.memory), free: Int64(try card.freeMemory()),
                description: card.description)
        } catch {
            report = CardReport(fault: JobFailure(describing: error))
        }
        guard let text = try? JSONValue(encoding: report).serialized() + [0x0A] else {
            return ExitCode.internalError.rawValue
        }
        return text.withUnsafeBytes { write(1, $0.baseAddress, $0.count) } == text.count
            ? 0 : ExitCode.internalError.rawValue
    }
}
