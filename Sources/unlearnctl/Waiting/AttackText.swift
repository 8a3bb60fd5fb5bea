// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// What attacks brought back, for people.
enum AttackText {
    /// A block of lines; empty without attacks.
    static func text(_ job: Job, _ output: Output) -> String {
        let given = job.result?["attacks"].flatMap { try? $0.decode(AttackReport.self) }
        guard let report = job.evaluation?.attacks ?? given else { return "" }
        let style: Style = report.verdict == .resistant ? .green : .yellow
        var text = "attacks: \(output.styled(report.verdict.rawValue, style)) – \(meaning(report.verdict))\n"
        for attack in report.attacks {
            text +=
                "  \(attack.kind.rawValue), \(attack.measure.replacing("_", with: " ")) by \(attack.axis)\n"
            text += line("", attack.points)
            text += line("result", attack.result.map(number))
            if let reference = attack.reference { text += line("reference", reference.map(number)) }
            if let before = attack.before, before.contains(where: { $0 != nil }) {
                text += line("before", before.map(number))
            }
            if let gap = attack.gap {
                text += "    recovered \(Text.fixed(attack.recovery ?? 0, 3)), gap \(Text.fixed(gap, 3))\n"
            }
        }
        return "\n" + text
    }

    private static func line(_ name: String, _ cells: [String]) -> String {
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(1, width - text.count))
        }
        return "    " + padded(name, 11) + cells.map { padded(Text.safe($0), 12) }.joined() + "\n"
    }

    private static func number(_ value: Double?) -> String { value.map { Text.fixed($0, 3) } ?? "–" }

    private static func meaning(_ verdict: AttackVerdict) -> String {
        switch verdict {
        case .suppressed: "it does not say it, but still has it"
        case .known: "it says it without being attacked"
        case .resistant: "nothing came back under these attacks"
        }
    }
}
