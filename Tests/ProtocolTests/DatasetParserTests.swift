// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

@Suite struct `Dataset parser` {
    private func parse(_ text: String) throws(DatasetError) -> [DatasetRow] {
        try DatasetParser.parse(Array(text.utf8), name: "forget.jsonl")
    }

    private func refusal(_ text: String) -> DatasetError? {
        do throws(DatasetError) {
            _ = try parse(text)
            return nil
        } catch {
            return error
        }
    }

    @Test func `a byte order mark is named`() {
        let refused = refusal("\u{FEFF}{\"text\": \"a\"}\n")
        #expect(refused?.description.contains("byte order mark") == true, "\(String(describing: refused))")
    }

    @Test func `rows of every form are read, blank lines are not rows`() throws {
        let rows = try parse(
            """
            {"text": "a"}

            {"prompt": "", "completion": "b", "comment": {"x": [1]}}
            \t\r
            {"question": "c", "answer": "d"}\r
            {"input_ids": [1, 2, 3]}
            {"input_ids": [1, 2], "labels": [-100, 2]}
            """)
        #expect(rows.map(\.line) == [1, 3, 5, 6, 7])
        #expect(
            rows.map(\.content) == [
                .text("a"), .promptCompletion(prompt: "", completion: "b"),
                .questionAnswer(question: "c", answer: "d"),
                .inputIDs([1, 2, 3], labels: nil), .inputIDs([1, 2], labels: [-100, 2]),
            ])
    }

    @Test func `the fields of evaluation are read`() throws {
        let row = try #require(
            try parse(
                """
                {"question": "c", "answer": "d", "paraphrased_answer": "e", "perturbed_answer": ["f", "g"],
                """.replacingNewlines + #""paraphrased_question": "h", "replacement": "i"}"#
            ).first)
        #expect(row.paraphrasedAnswer == "e")
        #expect(row.perturbedAnswers == ["f", "g"])
        #expect(row.paraphrasedQuestion == "h")
        #expect(row.replacement == "i")
        #expect(row.promptAndCompletion?.prompt == "Question: c\nAnswer:")
        #expect(row.promptAndCompletion?.completion == " d")
    }

    private static let faults: [(String, String)] = [
        ("{\"text\": \"a\"}\n{\"txt\": \"b\"}", "none of the members"),
        ("{\"text\": \"a\"}\n{\"prompt\": \"b\"}", "completion is missing"),
        ("{\"text\": \"a\"}\n{\"labels\": [1]}", "input_ids is missing"),
        (
            "{\"text\": \"a\"}\n{\"text\": \"b\", \"question\": \"c\"}",
            "text, question belong to different forms"
        ),
        ("{\"text\": \"a\"}\n{\"text\": 3}", "text is an integer, not a string"),
        ("{\"text\": \"a\"}\n{\"text\": null}", "text is null, not a string"),
        ("{\"text\": \"a\"}\n{\"text\": \"\"}", "text is empty"),
        ("{\"text\": \"a\"}\n{\"prompt\": \"b\", \"completion\": \"\"}", "completion is empty"),
        ("{\"text\": \"a\"}\n{\"question\": \"\", \"answer\": \"b\"}", "question is empty"),
        ("{\"text\": \"a\"}\n{\"input_ids\": []}", "input_ids holds 0 tokens"),
        ("{\"text\": \"a\"}\n{\"input_ids\": [1]}", "input_ids holds 1 token"),
        ("{\"text\": \"a\"}\n{\"input_ids\": [1, -1]}", "input_ids[1] is -1"),
        ("{\"text\": \"a\"}\n{\"input_ids\": [1, -100]}", "input_ids[1] is -100"),
        ("{\"text\": \"a\"}\n{\"input_ids\": [1, 2147483648]}", "input_ids[1] is 2147483648"),
        ("{\"text\": \"a\"}\n{\"input_ids\": [1, 2.0]}", "input_ids[1] is a number, not an integer"),
        ("{\"text\": \"a\"}\n{\"input_ids\": \"1 2\"}", "input_ids is a string, not a list"),
        (
            "{\"text\": \"a\"}\n{\"input_ids\": [1, 2], \"labels\": [1]}",
            "labels holds 1 numbers and input_ids 2"
        ),
        ("{\"text\": \"a\"}\n{\"input_ids\": [1, 2], \"labels\": [1, -101]}", "labels[1] is -101"),
        ("{\"text\": \"a\"}\n{\"input_ids\": [1, 2], \"labels\": [1, -1]}", "labels[1] is -1"),
        (
            "{\"text\": \"a\"}\n{\"input_ids\": [1, 2], \"labels\": [1, -100]}",
            "no token after the first has a label"
        ),
        ("{\"text\": \"a\"}\n{\"text\": \"b\", \"perturbed_answer\": \"c\"}", "perturbed_answer is a string"),
        ("{\"text\": \"a\"}\n{\"text\": \"b\", \"perturbed_answer\": [1]}", "perturbed_answer is an integer"),
        ("{\"text\": \"a\"}\n{\"text\": \"b\", \"replacement\": false}", "replacement is a boolean"),
        ("{\"text\": \"a\"}\n[{\"text\": \"b\"}]", "the line holds an array"),
        ("{\"text\": \"a\"}\n{\"text\": \"b\"", "not valid JSON"),
        ("{\"text\": \"a\"}\n{\"text\": \"b\", \"text\": \"c\"}", "not valid JSON"),
        ("{\"text\": \"a\"}\n" + String(repeating: "[", count: 100_000), "not valid JSON"),
    ]

    @Test(arguments: faults)
    func `a faulty row is refused by name, line and reason`(text: String, problem: String) {
        let error = refusal(text)
        #expect(error?.line == 2)
        #expect(error?.problem.contains(problem) == true, "\(String(describing: error))")
        #expect(error?.message.hasPrefix("forget.jsonl, line 2: ") == true)
        #expect(error?.hint.isEmpty == false)
    }

    @Test(arguments: ["", "\n\n", " \r\n\t"])
    func `an empty dataset is refused`(text: String) {
        #expect(refusal(text)?.line == nil)
        #expect(refusal(text)?.problem == "the dataset has no rows")
    }

    @Test func `bytes that are not UTF-8 are refused`() {
        #expect(throws: DatasetError.self) {
            try DatasetParser.parse(Array("{\"text\": \"".utf8) + [0xFF] + Array("\"}".utf8), name: "x")
        }
    }
}

extension String {
    fileprivate var replacingNewlines: String { split(separator: "\n").joined(separator: " ") }
}
