// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// What is expected to be needed, for people.
enum Estimates {
    /// A line for each resource.
    static func text(_ estimate: JobEstimate) -> String {
        var text =
            "  memory  \(Text.bytes(estimate.memory))\n  disk    \(Text.bytes(estimate.disk)) at most\n"
        if let card = estimate.card { text += "  card    \(Text.bytes(card))\n" }
        if let steps = estimate.steps { text += "  steps   \(steps)\n" }
        text += "  time    \(estimate.seconds.map { "about \(Text.duration($0))" } ?? "not known yet")\n"
        for line in estimate.replay ?? [] { text += "  \(line)\n" }
        return text
    }
}
