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
        case mpirun
        case logLevel = "log_level"
        case cancelGraceSeconds = "cancel_grace_seconds"
        case candidateDepth = "candidate_depth"
        case candidateDays = "candidate_days"
        case reviewLeaseDays = "review_lease_days"
    }

    /// Why a configuration cannot be used.
    struct Fault: Error, CustomStringConvertible {
        var message: String
        var hint: String
        var description: String { "\(message); \(hint)" }
    }

    let socket: String
    let logLevel: Logger.Level
    let control: ControlConfiguration

    /// Where descriptors are passed: beside the control socket, `unlearnd.fd.sock` for `unlearnd.sock`.
    let descriptorSocket: String

    /// Reads all sources.
    /// - Parameters:
    ///   - flags: What the command line gave.
    ///   - file: The file that the command line named; `nil`: the default one, which need not exist.
    /// - Throws: ``Fault``.
    static func load(
        flags: [Key: String], file: String?, environment: [String: String], isRoot: Bool = geteuid() == 0
    ) async throws -> DaemonConfiguration {
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
        if named != nil || access(path, F_OK) == 0 {
            // A file of comments alone, as the package installs it, is no YAML mapping and sets nothing.
            if try checkKeys(of: path) > 0 {
                do {
                    providers.append(try await FileProvider<YAMLSnapshot>(filePath: FilePath(path)))
                } catch {
                    throw Fault(
                        message: "the configuration \(path) cannot be read: \(error)",
                        hint: "correct the file")
                }
            }
        }
        return try DaemonConfiguration(
            Reader(reader: ConfigReader(providers: providers)), standard, file: path)
    }

    private init(_ reader: Reader, _ standard: StandardPaths, file: String) throws {
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
            reviewLeaseDays: try reader.whole(.reviewLeaseDays, 0...36_500) ?? JobSpec.defaultLeaseDays)
    }

    /// Refuses keys that mean nothing: a misspelled limit must not be a missing one.
    /// - Returns: How many keys there are.
    private static func checkKeys(of path: String) throws -> Int {
        guard let text = SmallFile.read(path, limit: 1 << 20) else {
            let reason = String(cString: strerror(errno))
            throw Fault(
                message: "the configuration \(path) cannot be read: \(reason)", hint: "check --config")
        }
        let known = Key.allCases.map(\.rawValue)
        var count = 0
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            guard let first = line.drop(while: \.isWhitespace).first, first != "#", !line.hasPrefix("---")
            else { continue }
            guard first == line.first, first != "-", let colon = line.firstIndex(of: ":") else {
                throw Fault(
                    message: "\(path), line \(number + 1): is not of the form \"key: value\"",
                    hint: "every key of this file has one plain value")
            }
            let key = line[..<colon].filter { $0 != "\"" && $0 != " " }
            guard !known.contains(key) else {
                count += 1
                continue
            }
            let near = ClosestName.suggest(for: key, among: known)
            throw Fault(
                message: "\(path), line \(number + 1): \"\(key)\" is not a known key",
                hint: near.map { "did you mean \"\($0)\"?" } ?? "known: \(known.joined(separator: ", "))")
        }
        return count
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
