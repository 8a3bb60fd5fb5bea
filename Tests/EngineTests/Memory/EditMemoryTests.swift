// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol
import Testing

/// Predictions for jobs that do not train: what they grow with.
struct EditMemoryTests {
    private func configuration() throws -> ModelConfiguration {
        try ModelConfiguration(json: Array(#"{"model_type": "gpt2"}"#.utf8))
    }

    private func row(_ tokens: Int, labels: Int) -> Example {
        let ids = [Int32](repeating: 5, count: tokens)
        let silent = [Int32](repeating: DatasetParser.unlabelled, count: tokens - labels)
        return Example(ids: ids, labels: silent + ids.suffix(labels), line: 1)
    }

    private func predict(
        _ kind: JobKind, _ parameters: JobParameters = JobParameters(), facts: Int = 0, length: Int = 200,
        rows: Int = 8, _ change: (inout MeasuringMemory) -> Void = { _ in }
    ) throws -> Int {
        let configuration = try configuration()
        var measuring = MeasuringMemory(configuration, threads: 2)
        change(&measuring)
        return try EditMemory(
            configuration, kind, parameters, sizes: RowSizes(length: length, rows: rows),
            measuring: measuring, facts: facts, mustMeasure: false, threads: 2
        ).predict()
    }

    @Test func `a batch is as large as the longest rows of one set`() {
        let sizes = RowSizes([
            [row(5, labels: 2), row(9, labels: 1), row(7, labels: 3)], [row(30, labels: 1)], [],
        ])
        #expect(sizes.length == 30)
        // The last token of a row is not computed, nor is what stands behind the last label.
        func sums(_ batch: RowSizes.Batch) -> [Int] {
            [batch.tokens, batch.predictors, batch.longest, batch.rows]
        }
        #expect(sums(sizes.batch(of: 2)) == [29, 5, 29, 2])
        #expect(sums(sizes.batch(of: 9)) == [29, 6, 29, 3])
        #expect(sums(sizes.changed(to: 8).batch(of: 3)) == [17, 6, 7, 3])
        #expect(sums(sizes.batch(of: 3, behind: 10)) == [48, 6, 39, 3])
        let early = row(12, labels: 12)
        let labels = early.labels.prefix(4) + [Int32](repeating: DatasetParser.unlabelled, count: 8)
        let cut = RowSizes([[Example(ids: early.ids, labels: Array(labels), line: 1)]])
        #expect(sums(cut.batch(of: 1)) == [3, 3, 3, 1])
    }

    @Test func `each way of working takes what it holds`() throws {
        let weights = 4 * (try ParameterTable(configuration()).count)
        let measured = try predict(.evaluate) { $0.measure(RowSizes(length: 200, rows: 8)) }
        #expect(measured > weights && measured < 2 * weights)
        let ablate = try predict(.ablate)
        let dampen = try predict(.dampen)
        #expect(dampen - ablate == 2 * weights)
        let fewer = try predict(.ablate, rows: 1)
        #expect(fewer < ablate)
        #expect(try predict(.update, facts: 1000, length: 50) > predict(.update, facts: 1, length: 50))
        func attacked(_ kinds: AttackKind..., parameters: JobParameters = JobParameters()) throws -> Int {
            try predict(.attack) {
                $0.attack(
                    RowSizes(length: 200, rows: 8), count: 8, prompt: 100, answer: 100, with: kinds,
                    parameters)
            }
        }
        let probe = try attacked(.probe)
        #expect(probe == measured)
        #expect(try attacked(.quantize) == probe + weights)
        #expect(try attacked(.relearn) > probe + 4 * weights - (probe - weights))
        var soft = JobParameters()
        soft.attackPrompts = [.soft]
        #expect(try attacked(.prompt, parameters: soft) > probe)
        let direction = try predict(.taskVector)
        #expect(direction == EditMemory.piecewise(threads: 2) && direction < weights)
    }

    @Test func `texts that are continued together are as many as there is room for`() throws {
        func generate(_ count: Int, _ maximum: Int) throws -> Int {
            try predict(.generate) { $0.generate(ContinuedTexts(count: count, prompt: 10, maximum: maximum)) }
        }
        let one = try generate(1, 200)
        let text = 12 * 210 * 2 * 768 * 4
        #expect(try generate(2, 200) == one + text + 4 * 50257)
        #expect(try generate(1000, 200) == generate(Int.max, 200))
        #expect(try generate(1000, 1000) < one + (300 << 20))
    }

    @Test func `what would make it fit is named with what it would take`() throws {
        let configuration = try configuration()
        var measuring = MeasuringMemory(configuration, threads: 2)
        measuring.measure(RowSizes(length: 200, rows: 8))
        func answer(_ kind: JobKind, gated: Bool = false) throws -> MemoryAnswer {
            try EditMemory(
                configuration, kind, JobParameters(), sizes: RowSizes(length: 200, rows: 8),
                measuring: measuring, facts: 0, mustMeasure: gated, threads: 2
            ).answer()
        }
        let ablate = try answer(.ablate)
        #expect(
            Set(ablate.ways.map(\.options)) == [
                "--batch-size 1", "--max-length 128", "--batch-size 1 --max-length 128",
            ])
        #expect(ablate.ways.allSatisfy { $0.memory < ablate.memory })
        #expect(try answer(.taskVector).ways.first?.options == "--no-evaluate")
        #expect(try answer(.taskVector, gated: true).ways.map(\.options) == ["--max-length 128"])
        #expect(try answer(.evaluate).ways.map(\.options) == ["--max-length 128"])
    }
}
