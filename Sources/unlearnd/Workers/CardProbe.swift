// SPDX-License-Identifier: Apache-2.0

import Protocol
import Subprocess
import SystemPackage

/// Asks the worker's program for the card of this machine: the daemon itself opens no driver.
struct CardProbe: Sendable {
    private static let longestAnswer = 64 << 10
    /// A driver that has to wake a card up takes seconds.
    private static let patience = Duration.seconds(30)

    let executable: String
    let environment: [String: String]

    /// The card, or why there is none.
    func report() async -> CardReport {
        await withTaskGroup(of: CardReport?.self) { group in
            group.addTask { await self.ask() }
            group.addTask {
                try? await Task.sleep(for: Self.patience)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
                ?? CardReport(
                    fault: JobFailure(
                        .unsupported, "the worker's program could not be asked for a card",
                        hint: "see the daemon's log, and whether \(executable) card answers"))
        }
    }

    private func ask() async -> CardReport? {
        let environment = Dictionary(
            uniqueKeysWithValues: environment.map { (Environment.Key(stringLiteral: $0.key), $0.value) })
        guard
            let result = try? await Subprocess.run(
                .path(FilePath(executable)), arguments: ["card"], environment: .custom(environment),
                workingDirectory: "/", input: .none, output: .bytes(limit: Self.longestAnswer),
                error: .discarded),
            result.terminationStatus.isSuccess
        else { return nil }
        return try? StrictJSON.parse(result.standardOutput).decode(CardReport.self, allowUnknown: true)
    }
}
