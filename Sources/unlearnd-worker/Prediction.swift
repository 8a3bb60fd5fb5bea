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
            let answer = try JSONValue(encoding: predict(question, configuration)).serialized() + [0x0A]
            return answer.withUnsafeBytes { write(1, $0.baseAddress, $0.count) } == answer.count
                ? 0 : ExitCode.internalError.rawValue
        } catch {
            complain("\(JobFailure(describing: error).message)")
            return ExitCode.badInput.rawValue
        }
    }

    private static func predict(_ question: MemoryQuestion, _ configuration: ModelConfiguration) throws
        -> MemoryAnswer
    {
        let (kind, parameters, threads) = (question.kind, question.parameters, question.threads)
        // No batch has more rows than this.
        let most = max(MeasuringMemory.scoredRows, parameters.batchSize ?? 4)
        func sizes(_ length: Int) -> RowSizes {
            RowSizes(length: length, rows: min(question.rows ?? most, most))
        }
        let measuring = measuring(question, configuration, sizes)
        guard kind.trains, question.facts == nil else {
            return try EditMemory(
                configuration, kind, parameters, sizes: sizes(question.length), measuring: measuring,
                facts: question.facts ?? 0, mustMeasure: question.isGated ?? false, threads: threads
            ).answer()
        }
        return try TrainingMemory(
            configuration, kind, parameters, sizes: sizes(question.length), measuring: measuring,
            threads: threads
        ).answer(parameters)
    }

    private static func measuring(
        _ question: MemoryQuestion, _ configuration: ModelConfiguration, _ sizes: (Int) -> RowSizes
    ) -> MeasuringMemory {
        let parameters = question.parameters
        var memory = MeasuringMemory(
            configuration, threads: question.threads, learnedRows: parameters.batchSize ?? 4)
        if question.kind == .generate {
            memory.generate(ContinuedTexts(generating: parameters, prompt: question.length))
        }
        let rows = question.rows ?? Int.max
        if let length = question.measured {
            memory.measure(
                sizes(length), metrics: Set(question.metrics ?? []),
                continued: ContinuedTexts(
                    count: rows, prompt: length,
                    maximum: parameters.maxNewTokens ?? MethodDefaults.measuredNewTokens))
        }
        if let attacks = question.attacks {
            let length = max(question.length, question.measured ?? 0)
            memory.attack(
                sizes(length), count: rows, prompt: length, answer: length, with: attacks, parameters)
        }
        return memory
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
