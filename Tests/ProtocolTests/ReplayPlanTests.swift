// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

/// How far back an exact job goes, and when it says that it cannot.
struct ReplayPlanTests {
    private static func digest(_ name: Character) throws -> Digest {
        try #require(Digest(hex: String(repeating: name, count: 64)))
    }

    private func row(_ text: String) -> DatasetRow { DatasetRow(line: 1, content: .text(text)) }

    /// Datasets by letter.
    private let sets: [Character: [String]] = [
        "a": ["one", "two", "three"], "b": ["three", "four"], "c": ["five"], "d": ["two"],
        "e": ["two", "six"],
    ]

    private func step(
        _ number: Int, _ kind: JobKind, forget: Character? = nil, retain: Character? = nil,
        gone: Bool = false,
        excluding: [Character] = []
    ) throws -> LineageStep {
        let model = try #require(ModelName("m"))
        let version = try #require(VersionNumber(number))
        var spec = JobSpec(kind: kind, model: VersionReference("m"))
        spec.forget = try forget.map(Self.digest)
        spec.retain = try retain.map(Self.digest)
        let digest = try Self.digest("f")
        return LineageStep(
            job: number, spec: spec, model: model, version: version,
            made: gone
                ? nil : VersionBinding(model: model, version: version, manifest: digest, digest: digest),
            excluding: try excluding.map(Self.digest))
    }

    private func plan(_ lineage: [LineageStep], _ forget: String..., purged: Set<Character> = []) throws
        -> ReplayPlan
    {
        try ReplayPlan(lineage: lineage, forgetting: forget.map(row)) { id in
            guard let name = id.hex.first, !purged.contains(name) else { return nil }
            return sets[name]?.map(row)
        }
    }

    private func refusal(_ lineage: [LineageStep], _ forget: String..., purged: Set<Character> = []) throws
        -> JobFailure
    {
        let error = #expect(throws: JobFailure.self) {
            try ReplayPlan(lineage: lineage, forgetting: forget.map(row)) { id in
                guard let name = id.hex.first, !purged.contains(name) else { return nil }
                return sets[name]?.map(row)
            }
        }
        return try #require(error)
    }

    @Test func `it goes back to the version before the first use and repeats everything since`() throws {
        let lineage = [
            try step(1, .create), try step(2, .finetune, retain: "c"), try step(3, .finetune, retain: "b"),
            try step(4, .npo, forget: "e", retain: "c"), try step(5, .finetune, retain: "a"),
        ]
        let late = try plan(lineage, "six")
        #expect(late.start?.version.number == 3 && late.repeated.map(\.job) == [4, 5])
        #expect(late.steps.map(\.rowsLeftOut) == [1, 0] && late.notes.isEmpty)
        let early = try plan(lineage, "four")
        #expect(early.start?.version.number == 2 && early.repeated.map(\.job) == [3, 4, 5])
        #expect(early.words.first?.contains("m@v2") == true && early.words.first?.contains("3 jobs") == true)
    }

    @Test func `a version that is gone makes it go back further`() throws {
        let lineage = [
            try step(1, .create), try step(2, .finetune, retain: "c", gone: true),
            try step(3, .finetune, retain: "b"),
        ]
        let plan = try plan(lineage, "four")
        #expect(plan.start?.version.number == 1 && plan.repeated.map(\.job) == [2, 3])
        let none = try refusal(
            [try step(1, .create, gone: true), try step(2, .finetune, retain: "b")], "four")
        #expect(none.kind == .missing && none.message.contains("is gone"))
    }

    @Test func `a job of which nothing is left is left out`() throws {
        let lineage = [
            try step(1, .create), try step(2, .finetune, retain: "a"),
            try step(3, .npo, forget: "d", retain: "c"),
        ]
        let plan = try plan(lineage, "two")
        #expect(plan.start?.version.number == 1 && plan.repeated.map(\.job) == [2])
        #expect(plan.steps.map(\.isRepeated) == [true, false])
        let all = try self.plan([try step(1, .create), try step(2, .finetune, retain: "d")], "two")
        #expect(all.repeated.isEmpty && all.start?.version.number == 1)
    }

    @Test func `what was only measured was not used`() throws {
        // finetune learns its retain set; the forget set beside it is measured.
        let lineage = [try step(1, .create), try step(2, .finetune, forget: "d", retain: "c")]
        #expect(try refusal(lineage, "two").kind == .noOp)
        let alone = [try step(1, .create), try step(2, .finetune, forget: "d")]
        #expect(try plan(alone, "two").steps.count == 1)
    }

    @Test func `rows read the same in any form`() throws {
        let question = DatasetRow(line: 1, content: .questionAnswer(question: "Who?", answer: "Me"))
        let prompt = DatasetRow(
            line: 7, content: .promptCompletion(prompt: "Question: Who?\nAnswer:", completion: " Me"))
        var text = row("Question: Who?\nAnswer: Me")
        text.replacement = "You"
        #expect(RowText(question) == RowText(prompt) && RowText(prompt) == RowText(text))
        let ids = DatasetRow(line: 1, content: .inputIDs([1, 2], labels: [-100, 2]))
        #expect([ids, text].without([RowText(question)]) == [ids])
    }

    @Test func `what is not known is said`() throws {
        let imported = [try step(1, .import), try step(2, .finetune, retain: "b")]
        let unknown = try refusal(imported, "two")
        #expect(unknown.kind == .badInput && unknown.message.contains("v1 was imported"))
        #expect(unknown.hint?.contains("npo") == true)
        let known = try plan(imported, "four")
        #expect(known.notes.count == 1 && known.notes[0].contains("imported"))
        let gone = try refusal(imported, "four", purged: ["b"])
        #expect(gone.kind == .missing && gone.message.contains("job 2") && gone.message.contains("bbbb"))
    }

    @Test func `what cannot be repeated is refused with its job`() throws {
        let vector = [
            try step(1, .create), try step(2, .finetune, retain: "b"), try step(3, .taskVector),
        ]
        #expect(try refusal(vector, "four").message.contains("job 3 is a task-vector"))
        // Before the first use it does not matter.
        let before = [
            try step(1, .create), try step(2, .taskVector), try step(3, .finetune, retain: "b"),
        ]
        #expect(try plan(before, "four").start?.version.number == 2)
        let bare = [try step(1, .create), try step(2, .graddiff, forget: "c", retain: "d")]
        #expect(try refusal(bare, "two").message.contains("no retain rows"))
    }

    @Test func `rows that an earlier exact job left out were not used`() throws {
        let lineage = [
            try step(1, .create), try step(2, .finetune, retain: "a", gone: true, excluding: ["d"]),
            try step(4, .finetune, retain: "b"),
        ]
        #expect(try refusal(lineage, "two").kind == .noOp)
        let plan = try plan(lineage, "one")
        #expect(plan.start?.version.number == 1 && plan.repeated.map(\.excluding.count) == [1, 0])
    }
}
