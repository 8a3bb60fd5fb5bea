// SPDX-License-Identifier: Apache-2.0

import Logging
import Protocol

/// One key whose value differs between two configurations.
struct ConfigurationChange: Sendable {
    var key: String
    /// The values for people; `nil` where they are nobody's business, as a hook's arguments are.
    var values: (from: String, to: String)?
    /// Whether it takes effect only with another start.
    var needsRestart = false

    /// `key: old -> new`.
    var text: String { values.map { "\(key): \($0.from) -> \($0.to)" } ?? "\(key): changed" }

    /// What differs, in the order of the keys.
    static func between(_ old: DaemonConfiguration, _ new: DaemonConfiguration) -> [ConfigurationChange] {
        var changes: [ConfigurationChange] = []
        for key in DaemonConfiguration.Key.allCases {
            let (from, to) = (old.shown(key), new.shown(key))
            if from != to {
                changes.append(.init(key: key.rawValue, values: (from, to), needsRestart: key.needsRestart))
            }
        }
        if old.hooks != new.hooks { changes.append(.init(key: "hooks")) }
        if old.control.placements != new.control.placements { changes.append(.init(key: "placements")) }
        if old.control.publishTargets != new.control.publishTargets {
            changes.append(.init(key: "publish_targets", needsRestart: true))
        }
        return changes
    }
}

extension DaemonConfiguration.Key {
    /// Whether the daemon is built around the value.
    var needsRestart: Bool {
        switch self {
        case .stateDirectory, .socket, .worker, .mpirun, .encryption, .masterKeyFile, .srun, .slurmJob,
            .slurmOptions:
            true
        case .parallel, .threads, .memoryLimit, .logLevel, .cancelGraceSeconds, .candidateDepth,
            .candidateDays, .expirePreEditDays, .verifyEveryHours, .verifyMinutes, .modelQuota, .userQuota,
            .reviewLeaseDays, .adminUsers, .adminGroups, .operatorUsers, .operatorGroups, .viewerUsers,
            .viewerGroups, .backupTargets, .userJobs, .freeSpaceFloor, .restrictVersions,
            .groups, .threadLimit, .retrySeconds, .deadlineWarningMinutes, .slurmParallel, .slurmThreads:
            false
        }
    }
}

extension DaemonConfiguration {
    /// This configuration with what another one can change while the daemon runs.
    func reloaded(with new: DaemonConfiguration) -> DaemonConfiguration {
        var result = self
        result.logLevel = new.logLevel
        result.hooks = new.hooks
        result.roles = new.roles
        result.control = new.control
        result.control.stateDirectory = control.stateDirectory
        result.control.workerPath = control.workerPath
        result.control.mpirun = control.mpirun
        (result.control.slurm.srun, result.control.slurm.allocation, result.control.slurm.options) = (
            control.slurm.srun, control.slurm.allocation, control.slurm.options
        )
        result.control.publishTargets = control.publishTargets
        result.control.encryption = control.encryption
        result.control.masterKey = control.masterKey
        return result
    }

    /// The value of a key for people.
    func shown(_ key: Key) -> String {
        switch key {
        case .stateDirectory: control.stateDirectory
        case .socket: socket
        case .parallel: "\(control.parallel)"
        case .threads: "\(control.threads)"
        case .memoryLimit: control.memoryLimit.map { "\($0)" } ?? "80 % of the memory"
        case .worker: control.workerPath ?? "found beside the daemon"
        case .mpirun: control.mpirun
        case .srun: control.slurm.srun
        case .slurmJob: control.slurm.allocation ?? "an allocation for each job"
        case .slurmParallel: "\(control.slurm.parallel)"
        case .slurmThreads: control.slurm.threads.map { "\($0)" } ?? "as for other workers"
        case .slurmOptions: control.slurm.options.joined(separator: " ")
        case .logLevel: logLevel.rawValue
        case .cancelGraceSeconds: "\(control.grace)"
        case .candidateDepth: "\(control.candidates.depth)"
        case .candidateDays: "\(control.candidates.days)"
        case .expirePreEditDays: control.expirePreEditDays.map { "\($0)" } ?? "never"
        case .verifyEveryHours: control.verification.everyHours.map { "\($0)" } ?? "never"
        case .verifyMinutes: "\(control.verification.minutes)"
        case .modelQuota: control.modelQuota.map { "\($0)" } ?? "no limit"
        case .userQuota: control.userQuota.map { "\($0)" } ?? "no limit"
        case .reviewLeaseDays: "\(control.reviewLeaseDays)"
        case .adminUsers, .adminGroups, .operatorUsers, .operatorGroups, .viewerUsers, .viewerGroups:
            roles.names(of: key.rawValue).joined(separator: ", ")
        case .backupTargets:
            control.backupTargets.directories.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
                .joined(separator: ", ")
        case .freeSpaceFloor: control.freeSpaceFloor.map { "\($0)" } ?? "nothing"
        case .restrictVersions: "\(control.restrictsKnowingVersions)"
        case .groups:
            control.groups.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ", ")
        case .threadLimit: control.threadLimit.map { "\($0)" } ?? "no limit"
        case .retrySeconds: "\(control.retryDelay)"
        case .deadlineWarningMinutes: "\(Int(control.deadlineWarning / 60))"
        case .encryption: control.encryption.map { $0 ? "on" : "off" } ?? "as the store is"
        case .masterKeyFile: control.masterKey.file ?? "none"
        case .userJobs: control.userJobs.map { "\($0)" } ?? "no limit"
        }
    }
}
