// SPDX-License-Identifier: Apache-2.0

extension Gate {
    /// Refuses a gate on figures that the rows cannot give, before anything is computed.
    ///
    /// - Parameters:
    ///   - forget: The forget set's rows; `nil` where they cannot be looked at.
    ///   - kept: The rows of the retain set and of each utility set that is to be kept; `nil` likewise.
    /// - Throws: The first condition that no figure will answer, with what the rows lack.
    package func check(forget: [DatasetRow]?, kept: [[DatasetRow]?]) throws(GateError) {
        for condition in conditions {
            switch condition.figure {
            case .truthRatio:
                guard let forget, !forget.contains(where: \.hasWrongAnswers) else { continue }
                throw condition.lacks(
                    "rows of the forget set with wrong answers", "Give rows the list perturbed_answer")
            case .replaced:
                guard let forget, !forget.contains(where: { $0.replacement != nil && $0.exchange != nil })
                else { continue }
                throw condition.lacks(
                    "rows of the forget set with the answer to give from now on",
                    "Give rows the member replacement")
            case .rouge1, .rougeL, .rougeLF:
                guard let forget, !forget.contains(where: \.isText) else { continue }
                throw condition.lacks("rows of text in the forget set", "Give text instead of input_ids")
            case .modelUtility:
                let canTell = kept.contains { rows in
                    rows.map { !$0.isEmpty && $0.allSatisfy(\.hasWrongAnswers) } ?? true
                }
                guard !canTell else { continue }
                throw condition.lacks(
                    "a retain or utility set whose every row has wrong answers",
                    "Give each row of one of them the list perturbed_answer")
            default: continue
            }
        }
    }

    /// Whether ``check(forget:kept:)`` looks at any row.
    package var readsRows: Bool {
        conditions.contains { condition in
            condition.figure.map {
                [.truthRatio, .replaced, .rouge1, .rougeL, .rougeLF, .modelUtility].contains($0)
            } ?? false
        }
    }
}

extension GateCondition {
    /// The figure that it bounds; `nil` for a label.
    var figure: GateFigure? {
        switch self {
        case .atMost(let figure, _), .atLeast(let figure, _), .near(let figure, _): figure
        case .forgetQuality, .privacyLeakage, .earlier: nil
        }
    }

    fileprivate func lacks(_ thing: String, _ remedy: String) -> GateError {
        GateError(
            condition: description, message: "gate condition “\(self)” needs \(thing), and there is none",
            hint: "\(remedy), or leave the condition out")
    }
}

extension DatasetRow {
    fileprivate var hasWrongAnswers: Bool { !perturbedAnswers.isEmpty && exchange != nil }

    fileprivate var isText: Bool {
        if case .inputIDs = content { false } else { true }
    }
}
