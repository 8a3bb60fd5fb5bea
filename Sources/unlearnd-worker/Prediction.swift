// SPDX-License-Identifier: Apache-2.0

import Engine
import Glibc
import Protocol

/// Answers a ``MemoryQuestion`` on standard input with a ``MemoryAnswer`` on standard output: `predict`.
enum Prediction {
    private static let longest = 4 << 20

    /// Reads, answers, and returns the exit status; a question without an answer gets none.
    static func run() -> Int32 {
        do {
            let question = try StrictJSON.parse(try read()).decode(MemoryQuestion.self, allowUnknown: true)
            let configuration = try ModelConfiguration(json: Array(question.config.utf8))
            let memory = TrainingMemory(
                configuration, question.kind, question.parameters, length: question.length,
                measured: question.measured, threads: question.threads)
            let answer = try JSONValue(encoding: memory.answer(question.parameters)).serialized() + [0x0A]
            return answer.withUnsafeBytes { write(1, $0.baseAddress, $0.count) } == answer.count
                ? 0 : ExitCode.internalError.rawValue
        } catch {
            complain("\(JobFailure(describing: error).message)")
            return ExitCode.badInput.rawValue
        }
    }

    private static func read() throws(JobFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(0, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0, bytes.count <= longest else {
                throw JobFailure(.badInput, "no question can be read")
            }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }
}
