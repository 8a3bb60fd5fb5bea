// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

/// What attacks say of a version, from the shares that they measured.
struct AttackReportTests {
    private func outcome(_ result: [Double?], _ reference: [Double?]?) -> AttackOutcome {
        AttackOutcome(
            .quantize, axis: "format", points: result.indices.map { "\($0)" }, measure: "forget_accuracy",
            start: 0, result: result, reference: reference)
    }

    @Test func `equal rises from any starts have a gap of exactly 0`() {
        // Shares of 60 tokens: each pair of starts with each rise.
        for rise in 0...20 {
            for (own, other) in [(0, 1), (3, 7), (11, 13), (17, 39), (40, 2)] {
                let made = outcome(
                    [Double(own) / 60, Double(own + rise) / 60],
                    [Double(other) / 60, Double(other + rise) / 60])
                #expect(made.gap == 0 && made.gap?.sign == .plus, "\(own) \(other) \(rise)")
                #expect(made.recovered == false)
            }
        }
        // What plain subtraction makes of one of these.
        let shares: [Double] = [11, 3, 15, 7].map { $0 / 60 }
        let plain = (shares[0] - shares[1]) - (shares[2] - shares[3])
        #expect(plain != 0)
    }

    @Test func `a rise by the margin is not above it, and one token more is`() {
        for start in [0.1, 0.2, 0.3, 0.6, 0.7] {
            let made = outcome([start, start + 0.1], nil)
            #expect(made.recovery == 0.1 && made.recovered == false, "\(start)")
        }
        #expect(outcome([0.3, 0.4 + 1e-6], nil).recovered == true)
        #expect(outcome([0.5, 0.2], nil).recovery == 0)
        #expect(outcome([nil, 0.2], nil).gap == nil)
    }
}
