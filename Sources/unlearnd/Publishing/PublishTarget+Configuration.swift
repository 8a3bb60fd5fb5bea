// SPDX-License-Identifier: Apache-2.0

import Protocol
import SystemPackage

extension PublishTarget {
    /// As the configuration has it.
    private struct Entry: Decodable {
        var directory: String
        var hook: [String]?
    }

    /// Reads the configuration's targets by their names, and looks at the hooks' programs.
    ///
    /// - Parameter place: Names the line of a member, for messages.
    /// - Throws: ``DaemonConfiguration/Fault`` that names the line.
    static func list(
        _ value: JSONValue, place: (String) -> String
    ) throws(DaemonConfiguration.Fault) -> [String: PublishTarget] {
        guard let members = value.objectValue?.members else {
            throw .init(
                message:
                    "\(place("publish_targets")): publish_targets is \(value.kindName), not targets by name",
                hint: "write a name, and under it directory and, if wanted, hook")
        }
        var targets: [String: PublishTarget] = [:]
        var names: [FilePath: String] = [:]
        for member in members {
            let field = "publish_targets.\(member.key)"
            guard isName(member.key) else {
                throw .init(
                    message: "\(place(field)): \(member.key.debugDescription) is no name of a target",
                    hint: "use 1 to 64 letters, digits, _ or -")
            }
            let entry: Entry
            do { entry = try member.value.decode(Entry.self) } catch {
                throw .init(
                    message:
                        "\(place(field)): \(field)\(error.field.isEmpty ? "" : ".\(error.field)"): \(error.reason)",
                    hint: "a target has directory: /path and, if wanted, hook: [/path, arguments]")
            }
            guard entry.directory.hasPrefix("/"), entry.directory != "/", !entry.directory.contains("\0")
            else {
                throw .init(
                    message:
                        "\(place("\(field).directory")): \(field) needs the absolute path of a directory",
                    hint: "write directory: /srv/…")
            }
            let directory = FilePath(entry.directory).lexicallyNormalized()
            if let other = names.updateValue(member.key, forKey: directory) {
                throw .init(
                    message: "\(place(field)): \(other) and \(member.key) have one directory, \(directory)",
                    hint: "give each a directory of its own")
            }
            var target = PublishTarget(name: member.key, directory: entry.directory)
            if let words = entry.hook { target.hook = try hook(words, place("\(field).hook"), field) }
            targets[member.key] = target
        }
        return targets
    }

    private static func hook(
        _ words: [String], _ place: String, _ field: String
    ) throws(DaemonConfiguration.Fault) -> HookCommand {
        guard let program = words.first, program.hasPrefix("/"), !words.contains(where: { $0.contains("\0") })
        else {
            throw .init(
                message:
                    "\(place): the hook of \(field) is no list of words that begins with the absolute path of a program",
                hint: "write hook: [/usr/local/bin/reload, --quiet]")
        }
        let hook = HookCommand(executable: program, arguments: Array(words.dropFirst()))
        if let fault = hook.fault {
            throw .init(
                message: "\(place): the hook of \(field) must not be run: \(fault)",
                hint:
                    "let root or the daemon's user own the program and what is above it, and nobody else write there"
            )
        }
        return hook
    }
}
