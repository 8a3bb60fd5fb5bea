// SPDX-License-Identifier: Apache-2.0

import Configuration
import Glibc
import Logging
import Protocol
import SystemPackage

/// What the operator decides. Flags win over the environment (`UNLEARND_…`), that over the file, that over the
/// defaults.
struct DaemonConfiguration: Sendable {
    /// The keys of the file; in the environment they are written `UNLEARND_STATE_DIRECTORY` and so on.
    enum Key: String, CaseIterable {
        case stateDirectory = "state_directory"
        case socket
        case parallel
        case threads
        case memoryLimit = "memory_limit"
        case worker
        case mpirun, srun
        case slurmJob = "slurm_job"
        case slurmParallel = "slurm_parallel"
        case slurmThreads = "slurm_threads"
        case slurmOptions = "slurm_options"
        case logLevel = "log_level"
        case cancelGraceSeconds = "cancel_grace_seconds"
        case candidateDepth = "candidate_depth"
        case candidateDays = "candidate_days"
        case expirePreEditDays = "expire_pre_edit_days"
        case verifyEveryHours = "verify_every_hours"
        case verifyMinutes = "verify_minutes"
        case modelQuota = "model_quota"
        case userQuota = "user_quota"
        case reviewLeaseDays = "review_lease_days"
        case adminUsers = "admin_users"
        case adminGroups = "admin_groups"
        case operatorUsers = "operator_users"
        case operatorGroups = "operator_groups"
        case viewerUsers = "viewer_users"
        case viewerGroups = "viewer_groups"
        case backupTargets = "backup_targets"
        case userJobs = "user_jobs"
        case freeSpaceFloor = "free_space_floor"
        case restrictVersions = "restrict_versions_that_know"
        case groups
        case threadLimit = "thread_limit"
        case retrySeconds = "retry_seconds"
        case deadlineWarningMinutes = "deadline_warning_minutes"
        case encryption
        case masterKeyFile = "master_key_file"
    }

    /// Why a configuration cannot be used.
    struct Fault: Error, CustomStringConvertible {
        var message: String
        var hint: String
        var description: String { "\(message); \(hint)" }
    }

    let socket: String
    var logLevel: Logger.Level
    var control: ControlConfiguration
    /// The roles of users and groups.
    var roles: RoleGrants
    /// What is done when something happens.
    var hooks: [Hook]

    /// Where descriptors are passed: beside the control socket, `unlearnd.fd.sock` for `unlearnd.sock`.
    let descriptorSocket: String

    /// Reads all sources.
    /// - Parameters:
    ///   - flags: What the command line gave.
    ///   - file: The file that the command line named; `nil`: the default one, which need not exist.
    /// - Throws: ``Fault``.
    static func load(
        flags: [Key: String], file: String?, environment: [String: String], isRoot: Bool = geteuid() == 0
    ) throws -> DaemonConfiguration {
        let named = file ?? environment["UNLEARND_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
        let standard = StandardPaths(environment: environment, isRoot: isRoot)
        let path = named ?? standard.configuration
        var providers: [any ConfigProvider] = [
            InMemoryProvider(
                values: flags.reduce(into: [:]) {
                    $0[AbsoluteConfigKey([$1.key.rawValue])] = ConfigValue(.string($1.value), isSecret: false)
                }),
            EnvironmentVariablesProvider(environmentVariables: environment.filter { !$0.value.isEmpty })
                .prefixKeys(with: "unlearnd"),
        ]
        var hooks: [Hook] = []
        var targets: [String: PublishTarget] = [:]
        var placements: [PlacementRule] = []
        if named != nil || access(path, F_OK) == 0 {
            let file = try ConfigurationFile(path)
            providers.append(
                InMemoryProvider(
                    values: file.values.reduce(into: [:]) {
                        $0[AbsoluteConfigKey([$1.key.rawValue])] = ConfigValue(
                            .string($1.value), isSecret: false)
                    }))
            hooks = file.hooks
            targets = file.publishTargets
            placements = file.placements
        }
        var configuration = try DaemonConfiguration(
            Reader(reader: ConfigReader(providers: providers)), standard, hooks)
        configuration.control.publishTargets = targets
        configuration.control.masterKey.credentials = environment["CREDENTIALS_DIRECTORY"].flatMap {
            $0.isEmpty ? nil : $0
        }
        for group in placements.compactMap(\.group) where configuration.control.groups[group] == nil {
            throw Fault(
                message:
                    "placements: there is no group \(group.debugDescription), so that no job can be in it",
                hint: "name it in groups, with how many of its jobs may run at a time")
        }
        configuration.control.placements = placements
        // Inside an allocation that somebody has made, that is where jobs go.
        configuration.control.slurm.allocation =
            try configuration.control.slurm.allocation ?? environment["SLURM_JOB_ID"].map(Reader.slurmJob)
        return configuration
    }

    private init(_ reader: Reader, _ standard: StandardPaths, _ hooks: [Hook]) throws {
        self.hooks = hooks
        let state = try reader.path(.stateDirectory) ?? standard.stateDirectory
        // A socket that falls back to the state directory follows it.
        let fallsBack = standard.socket.hasPrefix(standard.stateDirectory + "/")
        socket = try reader.path(.socket) ?? (fallsBack ? state + "/unlearnd.sock" : standard.socket)
        descriptorSocket = (socket.hasSuffix(".sock") ? String(socket.dropLast(5)) : socket) + ".fd.sock"
        for path in [socket, descriptorSocket] where path.utf8.count > StandardPaths.longestSocketPath {
            throw Fault(
                message: "the socket path \(path) has \(path.utf8.count) bytes; "
                    + "the system allows \(StandardPaths.longestSocketPath)",
                hint: "name a shorter one with --socket")
        }
        let level = reader.text(.logLevel) ?? "info"
        guard let logLevel = Logger.Level(rawValue: level) else {
            throw Fault(
                message: "log_level: \"\(level)\" is not a level",
                hint: "use one of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self.logLevel = logLevel
        func grants(_ keys: [(Key, Role)]) throws -> [RoleGrants.Grant] {
            try keys.map { .init(key: $0.0.rawValue, role: $0.1, names: try reader.names($0.0)) }
        }
        roles = RoleGrants(
            users: try grants([(.adminUsers, .admin), (.operatorUsers, .operator_), (.viewerUsers, .viewer)]),
            groups: try grants([
                (.adminGroups, .admin), (.operatorGroups, .operator_), (.viewerGroups, .viewer),
            ]))
        control = ControlConfiguration(
            stateDirectory: state, workerPath: try reader.path(.worker),
            parallel: try reader.whole(.parallel, 1...256) ?? 2,
            threads: try reader.whole(.threads, 1...1024)
                ?? max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))),
            memoryLimit: try reader.bytes(.memoryLimit),
            mpirun: try reader.path(.mpirun) ?? MPILauncher.standardPath,
            grace: try reader.seconds(.cancelGraceSeconds) ?? 5,
            candidates: CandidateRules(
                depth: try reader.whole(.candidateDepth, 0...1_000_000) ?? CandidateRules().depth,
                days: try reader.whole(.candidateDays, 0...36_500) ?? CandidateRules().days),
            reviewLeaseDays: try reader.whole(.reviewLeaseDays, 0...36_500) ?? JobSpec.defaultLeaseDays,
            userJobs: try reader.whole(.userJobs, 1...ControlPlane.queueCapacity),
            backupTargets: try reader.backupTargets(besides: state))
        control.expirePreEditDays = try reader.days(.expirePreEditDays)
        control.verification = VerificationSchedule(
            everyHours: try reader.whole(.verifyEveryHours, 0...87_600).flatMap { $0 == 0 ? nil : $0 },
            minutes: try reader.whole(.verifyMinutes, 1...10_080) ?? VerificationSchedule().minutes)
        control.modelQuota = try reader.bytes(.modelQuota)
        control.userQuota = try reader.bytes(.userQuota)
        control.slurm.srun = try reader.path(.srun) ?? SlurmSettings.standardPath
        control.slurm.allocation = try reader.text(.slurmJob).map(Reader.slurmJob)
        control.slurm.parallel = try reader.whole(.slurmParallel, 1...100_000) ?? SlurmSettings().parallel
        control.slurm.threads = try reader.whole(.slurmThreads, 1...1024)
        control.slurm.options = try reader.options(.slurmOptions)
        control.freeSpaceFloor = try reader.floor(.freeSpaceFloor)
        control.restrictsKnowingVersions = try reader.flag(.restrictVersions) ?? false
        control.groups = try reader.groups(.groups)
        control.threadLimit = try reader.whole(.threadLimit, 1...65_536)
        control.retryDelay = try reader.seconds(.retrySeconds) ?? control.retryDelay
        if let minutes = try reader.whole(.deadlineWarningMinutes, 0...525_600) {
            control.deadlineWarning = Double(minutes) * 60
        }
        control.encryption = try reader.onOrOff(.encryption)
        control.masterKey = MasterKeySource(file: try reader.path(.masterKeyFile))
    }
}

extension DaemonConfiguration {
    /// Turns the text of a value into what it must be.
    fileprivate struct Reader {
        let reader: ConfigReader

        func text(_ key: Key) -> String? { reader.string(forKey: ConfigKey([key.rawValue])) }

        func path(_ key: Key) throws -> String? {
            guard let text = text(key) else { return nil }
            guard !text.isEmpty, !text.contains("\0") else {
                throw Fault(message: "\(key.rawValue): must be a path", hint: "leave it out for the default")
            }
            if text.hasPrefix("/") { return text }
            guard let directory = getcwd(nil, 0) else { return text }
            defer { free(directory) }
            return FilePath(String(cString: directory)).pushing(FilePath(text)).lexicallyNormalized().string
        }

        /// Names of users or groups, parted by commas; none where the key is left out.
        func names(_ key: Key) throws -> [String] {
            guard let text = text(key) else { return [] }
            let names = text.split(separator: ",", omittingEmptySubsequences: false).map {
                String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            }
            guard
                names.allSatisfy({ name in !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F } }
                )
            else {
                throw Fault(
                    message: "\(key.rawValue): \"\(text)\" is not a list of names parted by commas",
                    hint: "write for example alice, bob")
            }
            return names
        }

        /// `NAME=N`, several with commas between them.
        func groups(_ key: Key) throws -> [String: Int] {
            var groups: [String: Int] = [:]
            for part in try names(key) {
                let sides = part.split(separator: "=", omittingEmptySubsequences: false)
                guard sides.count == 2, ModelName(String(sides[0])) != nil, let limit = Int(sides[1]),
                    (1...256).contains(limit), groups[String(sides[0])] == nil
                else {
                    throw Fault(
                        message:
                            "\(key.rawValue): \(part.debugDescription) is not a group's name, = and 1 to 256",
                        hint: "write for example nightly=1, evaluation=2, each name once")
                }
                groups[String(sides[0])] = limit
            }
            return groups
        }

        func whole(_ key: Key, _ range: ClosedRange<Int>) throws -> Int? {
            guard let text = text(key) else { return nil }
            guard let value = Int(text), range.contains(value) else {
                throw Fault(
                    message: "\(key.rawValue): \"\(text)\" is not a whole number from \(range.lowerBound) to "
                        + "\(range.upperBound)", hint: "correct it")
            }
            return value
        }

        func seconds(_ key: Key) throws -> Double? {
            guard let text = text(key) else { return nil }
            guard let value = Double(text), (0...3600).contains(value) else {
                throw Fault(
                    message: "\(key.rawValue): \"\(text)\" is not a number of seconds from 0 to 3600",
                    hint: "correct it")
            }
            return value
        }

        /// Days, also a part of one; `nil` for 0, which is never.
        func days(_ key: Key) throws -> Double? {
            guard let text = text(key) else { return nil }
            guard let value = Double(text), (0...36_500).contains(value) else {
                throw Fault(
                    message: "\(key.rawValue): \"\(text)\" is not a number of days from 0 to 36500",
                    hint: "write for example 30, or leave the line out to keep them")
            }
            return value == 0 ? nil : value
        }

        func backupTargets(besides state: String) throws -> BackupTargets {
            guard let text = text(.backupTargets) else { return BackupTargets() }
            do { return try BackupTargets(parsing: text, besides: state) } catch {
                throw Fault(
                    message: "backup_targets: \(error.message)",
                    hint: "write NAME=/DIRECTORY, several with commas between them")
            }
        }

        /// The number of a job in Slurm.
        static func slurmJob(_ text: String) throws -> String {
            guard (1...20).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) })
            else {
                throw Fault(
                    message: "slurm_job: \"\(text)\" is no number of a Slurm job", hint: "squeue lists them")
            }
            return text
        }

        /// Options of a program, parted by spaces.
        func options(_ key: Key) throws -> [String] {
            let words = (text(key) ?? "").split(separator: " ").map(String.init)
            guard words.allSatisfy({ $0.hasPrefix("-") && !$0.utf8.contains(0) }) else {
                throw Fault(
                    message: "\(key.rawValue): not every word is an option",
                    hint: "write for example --account=research --time=600")
            }
            return words
        }

        /// `true` or `false`.
        func flag(_ key: Key) throws -> Bool? {
            guard let text = text(key) else { return nil }
            guard let value = Bool(text) else {
                throw Fault(
                    message: "\(key.rawValue): \"\(text)\" is neither true nor false", hint: "correct it")
            }
            return value
        }

        /// `on` or `off`; a YAML reader may have made a truth value of it.
        func onOrOff(_ key: Key) throws -> Bool? {
            guard let text = text(key) else { return nil }
            guard let value = ["on": true, "true": true, "off": false, "false": false][text] else {
                throw Fault(message: "\(key.rawValue): \"\(text)\" is neither on nor off", hint: "correct it")
            }
            return value
        }

        /// A number of bytes, or a share such as `5%`.
        func floor(_ key: Key) throws -> FreeSpaceFloor? {
            guard let text = text(key) else { return nil }
            guard text.hasSuffix("%") else { return try bytes(key).map(FreeSpaceFloor.bytes) }
            guard let percent = Double(text.dropLast()), percent > 0, percent < 100 else {
                throw Fault(
                    message: "\(key.rawValue): \"\(text)\" is no share between 0 and 100 %",
                    hint: "write for example 5%")
            }
            return .percent(percent)
        }

        /// Bytes, with `KiB`, `MiB`, `GiB` or `TiB` if wanted.
        func bytes(_ key: Key) throws -> Int64? {
            guard let text = text(key) else { return nil }
            let digits = text.prefix { $0.isNumber }
            let unit = text.dropFirst(digits.count).drop { $0 == " " }
            let shift = ["": 0, "B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40][String(unit)]
            guard let shift, let number = Int64(digits), number > 0, number <= Int64.max >> shift else {
                throw Fault(
                    message: "\(key.rawValue): \"\(text)\" is not a number of bytes",
                    hint: "write for example 8GiB")
            }
            return number << shift
        }
    }
}
