// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// What is known of the store's soundness, for people.
enum VerificationText {
    /// In one line.
    static func state(_ verification: StoreVerification) -> String {
        var parts: [String] = []
        if let damage = verification.damage { parts.append("DAMAGED: \(found(damage))") }
        parts.append(
            verification.whole.map { "all of it \(Text.relative($0))" } ?? "never all of it")
        if let pass = verification.unfinished {
            parts.append("\(pass.done) of \(pass.total) objects since \(Text.relative(pass.began))")
        }
        if verification.everyHours != nil, let next = verification.next {
            parts.append("next \(Text.relative(next))")
        }
        return parts.joined(separator: "; ")
    }

    /// What a run found.
    static func found(_ run: VerificationRun) -> String {
        let counts = [(run.corrupt, "damaged"), (run.missing, "missing")].filter { $0.0 > 0 }
            .map { "\($0.0) \($0.1)" }
        let versions = run.versions.prefix(5).map(\.description).joined(separator: ", ")
        let more = run.versions.count > 5 ? " and \(run.versions.count - 5) more" : ""
        return "objects \(counts.joined(separator: ", ")), "
            + (versions.isEmpty ? "needed by no version" : "needed by \(versions)\(more)")
            + " (job \(run.job), \(Text.relative(run.time)))"
    }
}
