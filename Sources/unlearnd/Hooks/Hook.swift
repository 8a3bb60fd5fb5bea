// SPDX-License-Identifier: Apache-2.0

import Protocol

/// What is to be done when something happens: a program, or a line in the journal.
struct Hook: Hashable, Sendable {
    /// What a hook does.
    enum Action: Hashable, Sendable {
        /// Runs a program.
        case command(HookCommand)
        /// Writes the event to the log.
        case journal
    }

    /// Which events it is for: `head`, or `state:failed` for a change to that state.
    var events: [EventChoice]
    var action: Action

    /// How long a program may take unless said otherwise, seconds.
    static let defaultTimeout = 30.0
    /// Most hooks of a configuration.
    static let most = 64

    /// Whether the event is one of its.
    func wants(_ event: Event) -> Bool { events.contains { $0.matches(event) } }

    /// Reads the configuration's list and looks at the programs.
    ///
    /// - Parameter place: Names the line of a member, for messages.
    /// - Throws: ``DaemonConfiguration/Fault`` that names the line.
    static func list(
        _ value: JSONValue, place: (String) -> String
    ) throws(DaemonConfiguration.Fault) -> [Hook] {
        let entries: [Entry]
        do { entries = try value.decode([Entry].self) } catch {
            let field = error.field.isEmpty ? "hooks" : "hooks.\(error.field)"
            throw .init(
                message: "\(place(field)): \(field): \(error.reason)",
                hint: "a hook has events: [names] and either command: [/path, arguments] or journal: true")
        }
        guard entries.count <= most else {
            throw .init(
                message: "\(place("hooks")): has more than \(most) hooks", hint: "let one program do more")
        }
        var hooks: [Hook] = []
        for (index, entry) in entries.enumerated() {
            let field = "hooks.[\(index)]"
            do { hooks.append(try Hook(entry)) } catch {
                throw .init(
                    message: "\(place(error.member.map { "\(field).\($0)" } ?? field)): \(error.message)",
                    hint: error.hint)
            }
        }
        return hooks
    }
}

extension Hook {
    /// As the configuration has it.
    private struct Entry: Decodable {
        var events: [String]
        var command: [String]?
        var journal: Bool?
        var timeoutSeconds: Double?

        enum CodingKeys: String, CodingKey {
            case events, command, journal
            case timeoutSeconds = "timeout_seconds"
        }
    }

    /// What is wrong with an entry.
    private struct Wrong: Error {
        var member: String?
        var message: String
        var hint: String
    }

    private init(_ entry: Entry) throws(Wrong) {
        guard !entry.events.isEmpty else {
            throw Wrong(
                member: "events", message: "the hook has no events", hint: "write events: [head] for example")
        }
        events = []
        for name in entry.events {
            guard let choice = EventChoice(name) else {
                let near = ClosestName.suggest(for: name, among: EventChoice.names)
                throw Wrong(
                    member: "events", message: "\"\(name)\" is no event",
                    hint: near.map { "did you mean \"\($0)\"?" }
                        ?? "there are: \(EventChoice.names.joined(separator: ", "))")
            }
            events.append(choice)
        }
        let timeout = entry.timeoutSeconds ?? Self.defaultTimeout
        guard (0.1...3600).contains(timeout) else {
            throw Wrong(
                member: "timeout_seconds", message: "timeout_seconds: \(timeout) is not from 0.1 to 3600",
                hint: "correct it")
        }
        switch (entry.command, entry.journal) {
        case (let command?, nil):
            guard let path = command.first, command.allSatisfy({ !$0.utf8.contains(0) }) else {
                throw Wrong(
                    member: "command", message: "the command is empty", hint: "name a program by its path")
            }
            do { _ = try TrustedProgram.resolve(path) } catch {
                throw Wrong(member: "command", message: error.message, hint: error.hint)
            }
            action = .command(
                HookCommand(executable: path, arguments: Array(command.dropFirst()), limit: timeout))
        case (nil, true?): action = .journal
        default:
            throw Wrong(
                member: nil, message: "the hook has neither a command nor journal: true, or both",
                hint: "give command: [/path, arguments] or journal: true")
        }
    }
}
