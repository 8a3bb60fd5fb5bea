// SPDX-License-Identifier: Apache-2.0

/// `job.sweep`: one job for each combination of the axes' values, all on one version.
package struct JobSweepParams: Codable, Hashable, Sendable {
    /// What all jobs have in common.
    package var spec: JobSpec
    package var axes: [SweepAxis]
    /// Whether to validate and estimate only.
    package var dryRun: Bool?
    /// A wish.
    package init(spec: JobSpec, axes: [SweepAxis], dryRun: Bool? = nil) {
        self.spec = spec
        self.axes = axes
        self.dryRun = dryRun
    }

    enum CodingKeys: String, CodingKey {
        case spec, axes
        case dryRun = "dry_run"
    }
}

/// The result of `job.sweep`.
package struct JobSweepResult: Codable, Hashable, Sendable {
    /// Names the family; absent for a dry run.
    package var family: String?
    /// The version that all jobs work on.
    package var base: VersionReference
    /// The jobs in the order of the combinations, the last axis turning fastest; empty for a dry run.
    package var jobs: [Job]
    /// How many combinations there are.
    package var size: Int
    /// Memory: the most that one job needs; `disk`, `seconds` and `steps`: what all need together.
    package var estimate: JobEstimate
    package var warnings: [String]
    /// A result.
    package init(
        family: String?, base: VersionReference, jobs: [Job], size: Int, estimate: JobEstimate,
        warnings: [String]
    ) {
        self.family = family
        self.base = base
        self.jobs = jobs
        self.size = size
        self.estimate = estimate
        self.warnings = warnings
    }
}
