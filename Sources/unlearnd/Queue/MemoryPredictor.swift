// SPDX-License-Identifier: Apache-2.0

import Protocol
import Subprocess
import Synchronization
import SystemPackage

/// Asks the worker's program how much memory a training job takes, and remembers the answers.
final class MemoryPredictor: Sendable {
    private static let capacity = 256
    private static let longestAnswer = 64 << 10
    private static let patience = Duration.seconds(10)

    private let executable: String
    private let environment: [String: String]
    private let known = Mutex<[MemoryQuestion: MemoryAnswer]>([:])

    /// A predictor that asks `executable`.
    init(executable: String, environment: [String: String]) {
        self.executable = executable
        self.environment = environment
    }

    /// The answer, or `nil` where the program has none: for an architecture that it cannot compute, or names
    /// that the model lacks. The job will say why.
    func answer(_ question: MemoryQuestion) async -> MemoryAnswer? {
        if let answer = known.withLock({ $0[question] }) { return answer }
        let answer = await withTaskGroup(of: MemoryAnswer?.self) { group in
            group.addTask { await self.ask(question) }
            // It takes milliseconds; a program that hangs must not hold up submissions.
            group.addTask {
                try? await Task.sleep(for: Self.patience)
                return nil
            }
            let first = await group.next()
            group.cancelAll()
            return first ?? nil
        }
        guard let answer else { return nil }
        known.withLock { known in
            if known.count >= Self.capacity { known = [:] }
            known[question] = answer
        }
        return answer
    }

    private func ask(_ question: MemoryQuestion) async -> MemoryAnswer? {
        let environment = Dictionary(
            uniqueKeysWithValues: environment.map { (Environment.Key(stringLiteral: $0.key), $0.value) })
        guard let text = try? JSONValue(encoding: question).serialized(),
            let result = try? await Subprocess.run(
                .path(FilePath(executable)), arguments: ["predict"], environment: .custom(environment),
                workingDirectory: "/", input: .array(text), output: .bytes(limit: Self.longestAnswer),
                error: .discarded),
            result.terminationStatus.isSuccess,
            let answer = try? StrictJSON.parse(result.standardOutput).decode(
                MemoryAnswer.self, allowUnknown: true)
        else { return nil }
        return answer
    }
}
