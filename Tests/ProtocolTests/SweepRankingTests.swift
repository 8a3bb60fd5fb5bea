// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

@Suite struct SweepRankingTests {
    /// A job that ended with these accuracies; without a version where `forget` is `nil`.
    private func job(
        _ id: Int, forget: Double?, retain: Double = 0.9, before: Double = 1, passed: Bool? = nil,
        holdout: Double? = nil, reference: Double? = nil
    ) -> Job {
        var job = Job(
            id: id, spec: JobSpec(kind: .ascent), state: .succeeded, submitter: 0,
            created: Timestamp(milliseconds: 0))
        guard let forget else { return job }
        func figures(_ forget: Double?, _ retain: Double?) -> EvaluationFigures {
            var figures = EvaluationFigures(accuracy: .token)
            figures.forgetAccuracy = forget
            figures.retainAccuracy = retain
            return figures
        }
        var after = figures(forget, retain)
        after.holdoutAccuracy = holdout
        job.evaluation = EvaluationReport(
            before: figures(1, before), after: after, reference: reference.map { figures($0, nil) })
        job.version = VersionNumber(id)
        job.gate = passed.map { passed in
            GateVerdict(conditions: [
                GateConditionVerdict(name: "forget", required: "<=0.5", measured: .null, passed: passed)
            ])
        }
        return job
    }

    private func order(_ jobs: Job...) -> [Int] { SweepRanking(jobs).entries.map(\.job.id) }

    @Test func `a met gate comes before everything else`() {
        #expect(
            order(
                job(1, forget: 0.1, retain: 0.99, passed: false),
                job(2, forget: 0.4, retain: 0.5, passed: true))
                == [2, 1])
    }

    @Test func `then utility counts, to the hundredth`() {
        #expect(order(job(1, forget: 0, retain: 0.90), job(2, forget: 0.5, retain: 0.95)) == [2, 1])
        #expect(order(job(1, forget: 0.3, retain: 0.902), job(2, forget: 0.1, retain: 0.899)) == [2, 1])
        // 0.8 of 0.8 is all; 0.9 of 1 is not.
        #expect(
            order(job(1, forget: 0, retain: 0.9, before: 1), job(2, forget: 0, retain: 0.8, before: 0.8))
                == [2, 1])
    }

    @Test func `then closeness to the reference, or to the holdout set, from either side`() {
        #expect(order(job(1, forget: 0, reference: 0.3), job(2, forget: 0.35, reference: 0.3)) == [2, 1])
        #expect(order(job(1, forget: 0, holdout: 0.2), job(2, forget: 0.25, holdout: 0.2)) == [2, 1])
        #expect(order(job(1, forget: 0.2), job(2, forget: 0.1)) == [2, 1])
        let entry = SweepRanking([job(1, forget: 0.1, holdout: 0.9, reference: 0.3)]).entries[0]
        #expect(abs((entry.distance ?? 0) - 0.2) < 1e-12)
    }

    @Test func `jobs without a result come last, and the best has one`() {
        let ranking = SweepRanking([job(1, forget: nil), job(2, forget: 0.9, passed: false)])
        #expect(ranking.entries.map(\.job.id) == [2, 1])
        #expect(ranking.best == nil)
        #expect(SweepRanking([job(3, forget: 0.9)]).best?.job.id == 3)
    }

    @Test func `an axis is read as the command line writes it`() {
        #expect(
            SweepAxis("learning-rate=1e-5,2e-5")
                == SweepAxis(parameter: "learning_rate", values: [.number(1e-5), .number(2e-5)]))
        #expect(
            SweepAxis("retain-loss=nll,kl") == SweepAxis(parameter: "retain_loss", values: ["nll", "kl"]))
        #expect(SweepAxis("epochs=1,3") == SweepAxis(parameter: "epochs", values: [1, 3]))
        #expect(SweepAxis("shuffle=true") == SweepAxis(parameter: "shuffle", values: [true]))
        for wrong in ["alpha", "=1", "alpha=", "alpha=1,,2"] { #expect(SweepAxis(wrong) == nil, "\(wrong)") }
    }
}
