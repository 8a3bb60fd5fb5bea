// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import Testing

@Suite struct `Moments` {
    private func general(_ milliseconds: Int64) -> String {
        Date(timeIntervalSince1970: (Double(milliseconds) + 0.25) / 1000)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    @Test func `are written as the calendar says, and read back`() {
        var generator = SystemRandomNumberGenerator()
        var moments: [Int64] = [
            0, 1, 951_782_399_999, 951_782_400_000, 951_868_799_999, 4_107_542_399_999, 253_402_300_799_999,
        ]
        for _ in 0..<2000 { moments.append(.random(in: 0...253_402_300_799_999, using: &generator)) }
        for moment in moments {
            let text = Timestamp(milliseconds: moment).description
            #expect(text == general(moment))
            #expect(Timestamp(text)?.milliseconds == moment)
        }
        #expect(Timestamp(milliseconds: 253_402_300_800_000).description == general(253_402_300_800_000))
    }

    @Test(
        arguments: [
            ("2026-01-31T12:00:00Z", 1_769_860_800_000), ("2024-02-29T00:00:00.001Z", 1_709_164_800_001),
            ("1969-12-31T23:59:59.999Z", -1), ("2026-01-31T13:00:00+01:00", 1_769_860_800_000),
        ] as [(String, Int64)])
    func `are read with or without a fraction`(_ text: String, _ moment: Int64) {
        #expect(Timestamp(text)?.milliseconds == moment)
    }

    @Test(arguments: [
        "", "2026-13-01T00:00:00Z", "2026-00-10T00:00:00Z", "2026-01-31 12:00:00Z",
        "yesterday", "2026-01-31T12:00:00.00xZ",
    ])
    func `are refused where they do not exist`(_ text: String) { #expect(Timestamp(text) == nil) }
}
