// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// A job's progress in one line.
enum ProgressText {
    /// Bar, share, amount, rate, time left, then the figures that matter most first: a narrow terminal cuts the end.
    static func line(_ progress: JobProgress) -> String {
        var parts = [progress.phase]
        if let total = progress.total, total > 0 {
            let share = min(1, max(0, progress.done / total))
            let filled = Int((share * 10).rounded(.down))
            parts.append(
                "[" + String(repeating: "#", count: filled) + String(repeating: "·", count: 10 - filled) + "]"
            )
            parts.append("\(Int(share * 100)) %")
        }
        parts.append(amount(progress))
        if let rate = progress.rate { parts.append(self.rate(rate, progress.unit)) }
        if let eta = progress.eta, eta >= 0 { parts.append("ETA \(Text.duration(eta))") }
        // An epoch's number is told when it ends; it would only take the place of a loss here.
        let figures = progress.figures.filter { $0.key != "epoch" }.sorted { $0.key < $1.key }
        for (name, value) in figures.filter({ $0.key != "loss" }) + figures.filter({ $0.key == "loss" }) {
            let short = name.hasSuffix("_loss") ? String(name.dropLast(5)) : name
            parts.append("\(short) \(Text.figure(value))")
        }
        return Text.safe(parts.joined(separator: " "))
    }

    /// How much is done of how much.
    static func amount(_ progress: JobProgress) -> String {
        if progress.unit == "bytes" {
            let total = progress.total.map { " of \(Text.bytes(whole($0)))" } ?? ""
            return Text.bytes(whole(progress.done)) + total
        }
        let total = progress.total.map { "/\(Text.fixed($0, 0))" } ?? ""
        return "\(Text.fixed(progress.done, 0))\(total) \(progress.unit)"
    }

    private static func rate(_ rate: Double, _ unit: String) -> String {
        unit == "bytes" ? "\(Text.bytes(whole(rate)))/s" : "\(Text.fixed(rate, rate < 10 ? 2 : 0))/s"
    }

    /// The daemon's numbers are not trusted to fit.
    private static func whole(_ value: Double) -> Int64 {
        value.isFinite ? Int64(max(0, min(value, 9e18))) : 0
    }

    /// An epoch's average losses.
    static func epoch(_ epoch: TrainingEpoch) -> String {
        var text = "epoch \(epoch.epoch): average loss \(Text.figure(epoch.loss))"
        if let loss = epoch.forgetLoss { text += "  forget loss \(Text.figure(loss))" }
        if let loss = epoch.retainLoss { text += "  retain loss \(Text.figure(loss))" }
        return text + "  (\(Text.count(epoch.steps, "step")), \(Text.duration(epoch.seconds)))"
    }
}
