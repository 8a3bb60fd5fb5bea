// SPDX-License-Identifier: Apache-2.0

import Protocol
import Subprocess
import Synchronization
import SystemPackage

/// Asks the worker's program how much memory a job takes that computes with a model, and remembers the answers.
final class MemoryPredictor: Sendable {
    private static let capacity = 256
    private static let longestAnswer = 64 << 10
    private static let patience = Duration.seconds(10)

    /// What the program said: nothing, where it cannot compute the model.
    private struct Reply {
        var answer: MemoryAnswer?
    }

    private let executable: String
    private let environment: [String: String]
    private let known = Mutex<[MemoryQuestion: Reply]>([:])

    /// A predictor that asks `executable`.
    init(executable: String, environment: [String: String]) {
        self.executable = executable
        self.environment = environment
    }

    /// The answer, or `nil` where the program has none: for an architecture that it cannot compute, or names
    /// that the model lacks. The job will say why.
    func answer(_ question: MemoryQuestion) async -> MemoryAnswer? {
        if let reply = known.withLock({ $0[question] }) { return reply.answer }
        let reply = await withTaskGroup(of: Reply?.self) { group in
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
        guard let reply else { return nil }
        known.withLock { known in
            if known.count >= Self.capacity { known = [:] }
            known[question] = reply
        }
        return reply.answer
    }

    /// `nil` if the program could not be asked.
    private func ask(_ question: MemoryQuestion) async -> Reply? {
        let environment = Dictionary(
            uniqueKeysWithValues: environment.map { (Environment.Key(stringLiteral: $0.key), $0.value) })
        guard let text = try? JSONValue(encoding: question).serialized(),
            let result = try? await Subprocess.run(
                .path(FilePath(executable)), arguments: ["predict"], environment: .custom(environment),
                workingDirectory: "/", input: .array(text), output: .bytes(limit: Self.longestAnswer),
                error: .discarded)
        else { return nil }
        if case .exited(let status) = result.terminationStatus, status == ExitCode.badInput.rawValue {
            return Reply(answer: nil)
        }
        guard result.terminationStatus.isSuccess,
            let answer = try? StrictJSON.parse(result.standardOutput).decode(
                MemoryAnswer.self, allowUnknown: true)
        else { return nil }
        return Reply(answer: answer)
    }
}
