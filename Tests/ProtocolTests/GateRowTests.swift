// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

/// Gates on figures that the rows cannot give.
@Suite struct GateRowTests {
    private let plain = DatasetRow(line: 1, content: .questionAnswer(question: "q", answer: "a"))
    private var rich: DatasetRow {
        var row = plain
        row.perturbedAnswers = ["b"]
        row.replacement = "c"
        return row
    }
    private let ids = DatasetRow(line: 1, content: .inputIDs([1, 2], labels: nil))

    private func check(_ gate: String, _ forget: [DatasetRow]?, _ kept: [[DatasetRow]?] = []) throws {
        try Gate.parse(gate).check(forget: forget, kept: kept)
    }

    @Test(arguments: [
        ("truth_ratio>=0.5", "perturbed_answer"), ("truth_ratio~0.1", "perturbed_answer"),
        ("replaced>=0.9", "replacement"),
    ])
    func `a figure of the forget set needs its member in some row`(gate: String, member: String) throws {
        let error = #expect(throws: GateError.self) { try check("forget<=1," + gate, [plain]) }
        #expect(error?.condition == gate)
        #expect(error?.hint.contains(member) == true)
        try check(gate, [plain, rich])
        // Rows that are not at hand are not judged.
        try check(gate, nil)
    }

    @Test func `model utility needs wrong answers in every row of a set that is kept`() throws {
        let error = #expect(throws: GateError.self) {
            try check("model_utility>=0.5", [rich], [[plain], [rich, plain], []])
        }
        #expect(error?.hint.contains("perturbed_answer") == true)
        try check("model_utility>=0.5", [plain], [[plain], [rich, rich]])
        try check("model_utility>=0.5", [plain], [[plain], nil])
    }

    @Test func `rows of ids have no words to compare`() throws {
        for figure in ["rouge_1", "rouge_l", "rouge_l_f"] {
            #expect(throws: GateError.self) { try check("\(figure)<=0.5", [ids]) }
        }
        try check("rouge_l<=0.5,verbatim_run<=50", [ids, plain])
        #expect(try !Gate.parse("forget<=1,verbatim_run<=5").readsRows)
    }
}
