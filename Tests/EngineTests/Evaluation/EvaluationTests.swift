// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol
import Testing

@Suite struct `Evaluation figures` {
    private func close(_ left: Double?, _ right: Double, _ tolerance: Double = 1e-12) -> Bool {
        left.map { abs($0 - right) <= tolerance } ?? false
    }

    @Test func `the loss of a row is the mean over its labels`() {
        // Token losses of the logits [[2,0,-1,0.5],[0,1,0,-1],[0.3,0.2,0.1,3]] for the labels 0, 1, 3.
        let row = RowScore(nll: 0.34234958 + 0.62652338 + 0.16808638, tokens: 3, correct: 3)
        #expect(close(row.nll, 1.13695934, 1e-8))
        #expect(close(row.meanLoss, 0.37898645, 1e-8))
        #expect(row.isRight)
    }

    @Test func `token accuracy pools labels, row accuracy counts whole rows`() {
        let score = SetScore([
            RowScore(nll: 9, tokens: 9, correct: 9), RowScore(nll: 2, tokens: 1, correct: 0),
            RowScore(nll: 0, tokens: 0, correct: 0),
        ])
        #expect(score.accuracy(.token) == 0.9)
        #expect(score.accuracy(.row) == 0.5)
        #expect(score.loss == 1.1)
        #expect(score.rowLosses == [1, 2])
    }

    @Test func `windows of one row count as one row`() {
        let examples = [1, 1, 2, 3, 3].map { Example(ids: [1, 2], labels: [1, 2], line: $0) }
        let scores = (1...5).map { RowScore(nll: Double($0), tokens: 1, correct: $0 % 2) }
        #expect(
            RowScore.byRow(examples, scores) == [
                RowScore(nll: 3, tokens: 2, correct: 1), RowScore(nll: 3, tokens: 1, correct: 1),
                RowScore(nll: 9, tokens: 2, correct: 1),
            ])
    }

    private static let ties: [([Double], [Double], Double)] = [
        ([1, 2], [3, 4], 1.0), ([3, 4], [1, 2], 0), ([1, 1], [1, 1], 0.5), ([1, 3], [2, 3], 0.625),
        ([2], [1, 2, 3], 0.5),
        ([1, 2, 2], [2], 2.0 / 3),
    ]

    @Test(arguments: ties)
    func `ties count one half in the membership AUC`(members: [Double], others: [Double], expected: Double) {
        #expect(MembershipInference.auc(members: members, others: others) == expected)
    }

    @Test func `the AUC is that of all pairs`() {
        var random = RandomSource(seed: 5)
        for _ in 0..<50 {
            let members = (0..<random.below(30) + 1).map { _ in Double(random.below(12)) }
            let others = (0..<random.below(30) + 1).map { _ in Double(random.below(12)) }
            var points = 0.0
            for member in members {
                for other in others { points += member < other ? 1 : member == other ? 0.5 : 0 }
            }
            let expected = points / Double(members.count * others.count)
            #expect(MembershipInference.auc(members: members, others: others) == expected)
        }
    }

    @Test func `infinite losses take part, missing and undefined ones do not`() {
        #expect(MembershipInference.auc(members: [.infinity], others: [1, .infinity]) == 0.25)
        #expect(MembershipInference.auc(members: [.nan], others: [1]) == nil)
        #expect(MembershipInference.auc(members: [], others: [1]) == nil)
        #expect(MembershipInference.auc(members: [1], others: []) == nil)
    }

    @Test func `all sets give all figures`() {
        let figures = EvaluationFigures(
            forget: [RowScore(nll: 20, tokens: 10, correct: 2)],
            retain: [RowScore(nll: 1, tokens: 10, correct: 9)],
            holdout: [RowScore(nll: 40, tokens: 10, correct: 1)], accuracy: .token)
        #expect(figures.forgetAccuracy == 0.2)
        #expect(figures.retainAccuracy == 0.9)
        #expect(figures.holdoutAccuracy == 0.1)
        #expect(figures.forgetLoss == 2)
        #expect(figures.retainLoss == 0.1)
        #expect(figures.holdoutLoss == 4)
        #expect(figures.membershipInferenceAUC == 1)
        #expect(figures.forgetQuality == .good)
        #expect(figures.privacyLeakage == .significant)
        #expect(figures.tokens == ["forget": 10, "retain": 10, "holdout": 10])
        #expect(figures.rows == ["forget": 1, "retain": 1, "holdout": 1])
        #expect(figures.reasons.isEmpty)
    }

    @Test func `what was not given is null and says so`() {
        let figures = EvaluationFigures(
            forget: [RowScore(nll: 20, tokens: 10, correct: 2)], retain: nil, holdout: nil, accuracy: .row)
        #expect(figures.forgetAccuracy == 0)
        #expect(figures.retainAccuracy == nil)
        #expect(figures.forgetQuality == nil)
        #expect(figures.reasons["forget_quality"] == "no retain set was given")
        #expect(figures.membershipInferenceAUC == nil)
        #expect(figures.reasons["membership_inference_auc"] == "no holdout set was given")
        #expect(figures.reasons["privacy_leakage"] == "no holdout set was given")
    }

    @Test func `a loss that is not a number is null and says so`() {
        let figures = EvaluationFigures(
            forget: [RowScore(nll: .nan, tokens: 10, correct: 0)],
            retain: [RowScore(nll: 1, tokens: 1, correct: 1)],
            holdout: [RowScore(nll: 1, tokens: 1, correct: 1)], accuracy: .token)
        #expect(figures.forgetLoss == nil)
        #expect(figures.reasons["forget_loss"]?.contains("not a finite number") == true)
        #expect(figures.membershipInferenceAUC == nil)
        #expect(figures.reasons["privacy_leakage"] == "a row's loss is not a number")
    }
}
