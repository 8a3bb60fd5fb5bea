// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol
import Subprocess
import SystemPackage

/// Starts workers and reads what they say.
struct WorkerLauncher: Sendable {
    /// Longest line of a worker, bytes.
    static let longestLine = 4 << 20
    /// How much of a worker's standard error is kept, bytes.
    static let keptErrors = 64 << 10

    var executable: String
    var environment: [String: String]
    /// The ways to start them.
    var methods: LaunchMethods
    /// Seconds that a worker which has said its last word has to exit.
    var grace: Double

    /// How a worker ended.
    struct End: Sendable {
        var status: TerminationStatus
        /// The end of its standard error.
        var errors: String
        /// Why its output was no longer read, if it broke the rules.
        var fault: JobFailure?
    }

    /// The way that a job asks for.
    func method(for spec: JobSpec) -> any LaunchMethod {
        methods.method((spec.parameters ?? JobParameters()).startedBy)
    }

    /// Runs one worker to its end. Does not return before the process is gone.
    ///
    /// - Parameters:
    ///   - placed: Gets where a cluster has put it, each time that this changes.
    ///   - handle: Gets each message in order; the worker waits while it works.
    func run(
        _ start: LaunchStart, _ order: WorkerOrder, _ files: DescriptorSet?, _ control: WorkerControl,
        placed: @escaping @Sendable (JobPlacement) async -> Void,
        handle: @Sendable (WorkerMessage) async throws -> Void
    ) async throws -> End {
        let method = self.method(for: order.spec)
        if let fault = method.fault { throw fault }
        let (channel, worker) = try WorkerChannel.make()
        defer { channel.close() }
        var options = PlatformOptions()
        options.processGroupID = 0
        let command = method.command(executable, start, environment: self.environment)
        let environment = Dictionary(
            uniqueKeysWithValues: command.environment.map {
                (Environment.Key(stringLiteral: $0.key), $0.value)
            })
        let places = await method.follow(start)
        let following = Task { for await placement in places { await placed(placement) } }
        defer { following.cancel() }
        let result = try await Subprocess.run(
            .path(FilePath(command.path)), arguments: Arguments(command.arguments),
            environment: .custom(environment), workingDirectory: "/",
            platformOptions: options,
            input: .fileDescriptor(FileDescriptor(rawValue: worker), closeAfterSpawningProcess: true),
            output: .sequence, error: .sequence
        ) { execution in
            let process = execution.processIdentifier.value
            // When memory runs out, a worker dies before the daemon does.
            _ = SmallFile.write("500", to: "/proc/\(process)/oom_score_adj")
            control.begin(channel, canWait: method.canWait) { method.end(start, process) }
            defer { control.end() }
            async let errors = Self.tail(execution.standardError)
            var fault: JobFailure?
            do {
                try channel.send(order, files)
                control.ordered()
                try await Self.read(execution.standardOutput) { message in
                    control.hear()
                    try await handle(message)
                }
            } catch {
                fault =
                    error as? JobFailure
                    ?? JobFailure(.internal, "the worker's output cannot be used: \(error)")
                control.kill()
            }
            // No more output means no more work: without input it exits, or is made to.
            channel.close()
            let reaper = Task {
                try await Task.sleep(for: .seconds(grace))
                control.kill()
            }
            defer { reaper.cancel() }
            return (await errors, fault)
        }
        return End(
            status: result.terminationStatus, errors: result.closureResult.0, fault: result.closureResult.1)
    }

    private static func read(
        _ output: SubprocessOutputSequence, _ handle: @Sendable (WorkerMessage) async throws -> Void
    ) async throws {
        var splitter = LineSplitter(limit: longestLine)
        for try await buffer in output {
            let bytes = buffer.withUnsafeBytes { Array($0) }
            let lines: [[UInt8]]
            do { lines = try splitter.append(bytes) } catch {
                throw JobFailure(.internal, "the worker sent a line of more than \(longestLine) bytes")
            }
            for line in lines where !line.isEmpty {
                let message: WorkerMessage
                do {
                    message = try StrictJSON.parse(line).decode(WorkerMessage.self, allowUnknown: true)
                } catch {
                    throw JobFailure(.internal, "the worker sent a line that is no message: \(error)")
                }
                try await handle(message)
            }
        }
    }

    private static func tail(_ stream: SubprocessOutputSequence) async -> String {
        var kept: [UInt8] = []
        do {
            for try await buffer in stream {
                buffer.withUnsafeBytes { kept += $0 }
                if kept.count > 2 * keptErrors { kept.removeFirst(kept.count - keptErrors) }
            }
        } catch {
            kept += Array("\n(standard error ended: \(error))".utf8)
        }
        return String(decoding: kept.suffix(keptErrors), as: UTF8.self)
    }
}
