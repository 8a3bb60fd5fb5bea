// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `system …`.
struct System: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "system", abstract: "Ask the daemon about itself.",
        subcommands: [
            SystemShow.self, SystemPing.self, SystemMetrics.self, SystemSchema.self, SystemDoctor.self,
        ])
}

/// `system info`.
struct SystemShow: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Show what the daemon is and runs on.")
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = try session.call(.systemInfo)
        if session.output.isJSON { return session.output.json(raw) }
        let info = try Connection.decode(SystemInfo.self, raw)
        let recovered = info.recovered.filter { $0.value > 0 }.sorted { $0.key < $1.key }.map {
            "\($0.value) \(Text.safe($0.key))"
        }
        session.output.raw(
            """
            unlearnd  \(Text.safe(info.version)), protocol \(info.protocol), process \(info.pid), started \(Text.relative(info.started))
            socket    \(Text.safe(info.socket))
            state     \(Text.safe(info.stateDirectory))
            threads   \(info.threads)
            memory    \(Text.bytes(info.memoryTotal)), \(Text.bytes(info.memoryLimit)) for jobs
            recovered \(recovered.isEmpty ? "nothing" : recovered.joined(separator: ", "))

            """)
    }
}

/// `system ping`.
struct SystemPing: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "ping", abstract: "See whether the daemon answers, and how fast.")
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        _ = try session.connection()
        let start = Deadline.now
        let raw = try session.call(.systemPing)
        let seconds = Deadline.now - start
        if session.output.isJSON { return session.output.json(raw) }
        if !session.output.isQuiet {
            session.output.data("unlearnd answers in \(Text.fixed(seconds * 1000, 2)) ms")
        }
    }
}

/// `system schema`.
struct SystemSchema: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Show the JSON Schema of the protocol.",
        discussion: """
            Draft 2020-12, made by the daemon from the types that it reads and writes. “methods” has the role, parameters and \
            result of each method, “events” and “errors” the kinds of both, “$defs” all types; every line of a \
            connection fits the schema itself.
            """)
    @Argument(
        help: ArgumentHelp("Only this one and the types it needs.", valueName: "method"),
        completion: .list(Method.allCases.map(\.rawValue)),
        transform: SystemSchema.method)
    var method: Method?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        session.output.json(try session.call(.systemSchema, SystemSchemaParams(method: method)))
    }

    @Sendable private static func method(_ text: String) throws -> Method {
        if let method = Method(rawValue: text) { return method }
        let names = Method.allCases.map(\.rawValue)
        let near = ClosestName.suggest(for: text, among: names)
        throw ValidationError(
            near.map { "there is no such method; did you mean \($0)?" }
                ?? "there is no such method; there are: \(names.joined(separator: ", "))")
    }
}
