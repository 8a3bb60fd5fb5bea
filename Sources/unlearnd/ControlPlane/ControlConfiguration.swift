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
    package var placements: [PlacementRule] = []
    /// Seconds that a cancelled worker has before it is killed.
    package var grace: Double
    /// How long candidates are kept.
    package var candidates: CandidateRules
    /// Days that a version is kept after an accepted unlearning job has replaced it; `nil` for ever.
    package var expirePreEditDays: Double?
    /// How often the store is verified by itself.
    package var verification = VerificationSchedule()
    /// Most bytes of one model's versions that are there; `nil`: no limit.
    package var modelQuota: Int64?
    /// Most bytes of the versions that are there and that one user's jobs made; `nil`: no limit.
    package var userQuota: Int64?
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
    /// Whether a new store is encrypted; `nil`: it is not, and one that is there stays as it is.
    package var encryption: Bool?
    /// Where the master key of an encrypted store is.
    package var masterKey = MasterKeySource()
    /// Directories that show heads to serving engines, by name.
    package var publishTargets: [String: PublishTarget] = [:]

    /// How many jobs of each group run at a time.
    package var groups: [String: Int] = [:]
    /// Threads that running jobs may use together; `nil`: as many as ``parallel`` jobs do.
    package var threadLimit: Int?
    /// Seconds before a job is tried again for the first time.
    package var retryDelay = 30.0
    /// Seconds from the warning that a deadline comes near to the deadline.
    package var deadlineWarning = 3600.0

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

    /// What may be stored.
    var limits: StorageLimits {
        StorageLimits(
            directory: stateDirectory, floor: freeSpaceFloor, modelQuota: modelQuota, userQuota: userQuota)
    }

    /// Refuses a group that nobody has set up: a misspelled one would have no limit.
    /// - Throws: `not_found`.
    func checkGroup(of spec: JobSpec) throws(RPCError) {
        guard let group = spec.group, groups[group] == nil else { return }
        let names = groups.keys.sorted()
        throw RPCError(
            .notFound, "there is no group \(group.debugDescription)",
            hint: names.isEmpty
                ? "the daemon's configuration names none; its key is groups"
                : "groups: \(names.joined(separator: ", "))",
            field: "spec.group")
    }

    /// What is filled into specifications that leave it open.
    var defaults: SpecDefaults {
        SpecDefaults(reviewLease: Double(reviewLeaseDays) * 86_400, placements: placements)
    }

    /// Threads that workers of a job may have together.
    func threads(for spec: JobSpec) -> Int {
        spec.parameters?.launcher == .slurm
            ? (slurm.threads ?? threads) * (spec.parameters?.ranks ?? 1) : threads
    }
}
