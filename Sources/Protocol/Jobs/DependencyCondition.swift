// SPDX-License-Identifier: Apache-2.0

/// What must become of another job before a blocked one may run.
package enum DependencyCondition: String, Codable, Sendable, CaseIterable {
    /// The other job succeeded.
    case ok
    /// The other job ended, however.
    case any
    /// The other job ended without success.
    case notok
}

/// A job that must end first, written `ID` or `ID:any`.
package struct Dependency: Codable, Hashable, Sendable {
    /// The job waited for.
    package var job: JobID
    /// How it must end.
    package var condition: DependencyCondition

    /// A dependency from its parts.
    package init(job: JobID, condition: DependencyCondition = .ok) {
        self.job = job
        self.condition = condition
    }

    /// Reads `7`, `7:ok`, `7:any` or `7:notok`; `nil` for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let job = Int(parts[0]), job >= 1 else { return nil }
        guard let condition = DependencyCondition(rawValue: parts.count == 2 ? String(parts[1]) : "ok") else {
            return nil
        }
        self.init(job: job, condition: condition)
    }
}
