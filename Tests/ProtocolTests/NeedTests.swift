// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

@Suite struct NeedTests {
    @Test(arguments: Need.allCases) func `every gate it chooses parses and can be judged on what is given`(
        _ need: Need
    )
        throws
    {
        let all: [GateData] = [.forget, .retain, .holdout, .reference, .relearn, .quantize]
        for bits in 0..<64 {
            let given = Set(all.enumerated().filter { bits >> $0.offset & 1 == 1 }.map(\.element))
            guard let text = need.gate(given: given) else { continue }
            try Gate.parse(text).check(given: given)
        }
    }

    @Test func `privacy asks for what the data can show`() {
        #expect(
            Need.privacy.gate(given: [.forget, .retain, .holdout])
                == "privacy=moderate,utility>=0.95,forget=good")
        let compared = Need.privacy.gate(given: [.forget, .retain, .holdout, .reference]) ?? ""
        #expect(compared.hasPrefix("privacy=moderate,forget~0.1,utility>=0.95"))
        #expect(!compared.contains("forget=good"))
        #expect(Need.privacy.gate(given: []) == nil)
    }
}
