// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import CLinux
import Foundation
import Glibc
import Protocol

/// The program `unlearnd`.
@main
struct UnlearnDaemon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unlearnd",
        abstract: "Removes knowledge from trained language models, one job after the other.",
        discussion: """
            Talk to it with unlearnctl. Exit status 78 means that the configuration or the state directory is \
            wrong: another start will find the same.
            """,
        version: Software.version,
        subcommands: [Run.self, Worker.self, Restore.self, Rekey.self, Simulate.self],
        defaultSubcommand: Run.self)

    /// Runs what the command line says.
    static func main() async {
        cl_hold_standard_descriptors()
        await main(nil)
    }
}

extension UnlearnDaemon {
    /// `unlearnd run`
    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Serve until SIGTERM or SIGINT (the default).",
            discussion: "SIGHUP makes it read its configuration anew.")

        @Option(help: ArgumentHelp("Where everything is kept.", valueName: "directory"))
        var stateDirectory: String?
        @Option(help: ArgumentHelp("The control socket, at most 107 bytes.", valueName: "path"))
        var socket: String?
        @Option(help: ArgumentHelp("The configuration file (YAML).", valueName: "file"))
        var config: String?
        @Option(
            help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
        var logLevel: String?

        func run() async throws {
            let environment = ProcessInfo.processInfo.environment
            let daemon: Daemon
            do {
                let flags: [DaemonConfiguration.Key: String?] = [
                    .stateDirectory: stateDirectory, .socket: socket, .logLevel: logLevel,
                ]
                let source = ConfigurationSource(
                    flags: flags.compactMapValues(\.self), file: config, environment: environment)
                daemon = try Daemon(try source.load(), source: source)
            } catch {
                ServiceManager(environment: environment).status("\(error)")
                StandardErrorLog.say("unlearnd: \(error)")
                throw ArgumentParser.ExitCode(Protocol.ExitCode.configuration.rawValue)
            }
            try await daemon.run()
        }
    }

    /// `unlearnd worker`: becomes the program that runs one job.
    struct Worker: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Become unlearnd-worker, which runs one job given on standard input.")

        @Argument(parsing: .captureForPassthrough, help: "Passed on.")
        var arguments: [String] = []

        func run() throws {
            guard let path = WorkerExecutable.find(configured: nil) else {
                StandardErrorLog.say("unlearnd: \(WorkerExecutable.name) is not beside this program")
                throw ArgumentParser.ExitCode(Protocol.ExitCode.configuration.rawValue)
            }
            var words = ([path] + arguments).map { strdup($0) } + [nil]
            execv(path, &words)
            StandardErrorLog.say("unlearnd: \(path) cannot be run: \(String(cString: strerror(errno)))")
            throw ArgumentParser.ExitCode(Protocol.ExitCode.configuration.rawValue)
        }
    }
}
