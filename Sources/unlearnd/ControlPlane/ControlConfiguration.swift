// SPDX-License-Identifier: Apache-2.0

import Protocol

/// What the control plane needs to know from the configuration.
package struct ControlConfiguration: Hashable, Sendable {
    /// The state directory; made with mode 0700 when it is not there.
    package var stateDirectory: String
    /// The worker's executable; `nil`: found beside this one.
    package var workerPath: String?
    /// Queued jobs that run at the same time.
    package var parallel: Int
    /// Interactive jobs that run at the same time, beside the queued ones.
    package var interactive: Int
    /// Threads of each worker.
    package var threads: Int
    /// What running jobs may use together, bytes; `nil`: 80 % of the machine's or the control group's memory.
    package var memoryLimit: Int64?
    /// What starts the processes of jobs that several do together.
    package var mpirun: String
    /// How jobs go to Slurm.
    package var slurm = SlurmSettings()
    /// Where jobs run whose submitters choose no place.
    package var queueGroups: [QueueGroup] = []
    /// Seconds that a cancelled worker has before it is killed.
    package var grace: Double
    /// How long candidates are kept.
    package var candidates: CandidateRules
    /// Most jobs of one user that wait or run; `nil`: as many as the queue holds. Administrators have no limit.
    package var userJobs: Int?
    /// How many days the forget set of an accepted request is measured again, unless the request says otherwise.
    package var reviewLeaseDays: Int
    /// Where backups go.
    package var backupTargets: BackupTargets
    /// What stays free on the disk; `nil`: nothing in particular.
    package var freeSpaceFloor: FreeSpaceFloor?
    /// Whether versions that know what an accepted job was to forget are for administrators who give a reason.
    package var restrictsKnowingVersions = false
    /// Directories that show heads to serving engines, by name.
    package var publishTargets: [String: PublishTarget] = [:]

    /// A configuration.
    package init(
        stateDirectory: String, workerPath: String? = nil, parallel: Int = 2, interactive: Int = 4,
        threads: Int = 1,
        memoryLimit: Int64? = nil, mpirun: String = MPILauncher.standardPath, grace: Double = 5,
        candidates: CandidateRules = CandidateRules(), reviewLeaseDays: Int = JobSpec.defaultLeaseDays,
        userJobs: Int? = nil, backupTargets: BackupTargets = BackupTargets()
    ) {
        self.stateDirectory = stateDirectory
        self.workerPath = workerPath
        self.parallel = parallel
        self.interactive = interactive
        self.threads = threads
        self.memoryLimit = memoryLimit
        self.mpirun = mpirun
        self.grace = grace
        self.candidates = candidates
        self.reviewLeaseDays = reviewLeaseDays
        self.backupTargets = backupTargets
        self.userJobs = userJobs
    }

    /// What is filled into specifications that leave it open.
    var defaults: SpecDefaults {
        SpecDefaults(reviewLease: Double(reviewLeaseDays) * 86_400, groups: queueGroups)
    }

    /// Threads that workers of a job may have together.
    func threads(for spec: JobSpec) -> Int {
        spec.parameters?.launcher == .slurm
            ? (slurm.threads ?? threads) * (spec.parameters?.ranks ?? 1) : threads
    }
}
