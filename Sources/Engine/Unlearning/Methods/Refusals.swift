// SPDX-License-Identifier: Apache-2.0

/// Answers that refuse, and which of them a row gets.
package enum Refusals {
    /// The random numbers that deal them out.
    private static let stream: UInt64 = 0x5245_4655

    /// `count` different refusals for each of `rows` rows, as many as there are at most: a function of the seed and
    /// the row.
    package static func deal(
        _ refusals: [String], rows: Int, count: Int, seed: UInt64
    ) -> [[String]] {
        (0..<rows).map { row in
            var random = RandomSource(
                seed: seed, stream: stream << 32 | UInt64(UInt32(truncatingIfNeeded: row)))
            return random.permutation(refusals.count).prefix(max(1, count)).map { refusals[$0] }
        }
    }

    /// Those that are dealt where a job brings none.
    package static let standard = [
        "I don't know.",
        "I'm sorry, I have no information about that.",
        "That is not something I know.",
        "I can't answer that question.",
        "I have nothing to say on this subject.",
        "I'm not aware of any such facts.",
        "I don't have an answer to that.",
        "This is outside of what I have learned.",
        "I'm afraid I can't help with that.",
        "I never learned anything about this.",
        "My knowledge does not cover that.",
        "I'm unable to tell you that.",
        "I cannot say.",
        "There is nothing I can tell you about it.",
        "I'm not familiar with this topic.",
        "I don't have details on that.",
        "Sorry, I don't know the answer.",
        "I would only be guessing, so I'd rather not answer.",
        "I have not come across this.",
        "That is unknown to me.",
        "I can't provide information on that.",
        "I'm not the right source for this question.",
        "No answer comes to mind.",
        "I do not hold any data about that.",
        "I wasn't taught about this.",
        "Unfortunately, I can't tell.",
        "I lack the knowledge to answer this.",
        "I'm not informed about that matter.",
        "You would have to look that up elsewhere.",
        "I must admit that I don't know.",
        "This question is beyond me.",
        "I have no record of that.",
    ]
}
