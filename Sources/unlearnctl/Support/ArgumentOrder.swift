// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// Lets the global options stand before the verb as well as after it, and names what is no command.
enum ArgumentOrder {
    /// `arguments` with global options that stand before or between the verbs moved behind the last verb.
    /// - Throws: ``ClientError`` with status 64 for a word that is no command or none at all, with those that there are.
    static func normalized(
        _ arguments: [String], root: any ParsableCommand.Type
    ) throws(ClientError) -> [String] {
        var verbs: [String] = []
        var moved: [String] = []
        var rest = arguments[...]
        var command = root
        while let word = rest.first {
            if GlobalOptions.withoutValue.contains(word) || isAssignment(word) {
                moved.append(word)
                rest = rest.dropFirst()
            } else if GlobalOptions.withValue.contains(word), rest.count > 1 {
                moved += rest.prefix(2)
                rest = rest.dropFirst(2)
            } else if let next = subcommand(word, of: command) {
                command = next
                verbs.append(word)
                rest = rest.dropFirst()
            } else {
                break
            }
        }
        let choices = command.configuration.subcommands.compactMap { $0.configuration.commandName }
        if !choices.isEmpty, let word = rest.first, !word.hasPrefix("-"), word != "help" {
            throw unknown(word, after: verbs, choices)
        }
        if !choices.isEmpty, rest.isEmpty {
            let kind = verbs == ["submit"] ? "method" : "command"
            let named = (["unlearnctl"] + verbs).joined(separator: " ")
            throw ClientError(
                .usage, "no \(kind) is given after “\(named)”",
                hint: "there are: \(choices.joined(separator: ", ")); \(named) --help explains them")
        }
        // A command that only groups others has no options of its own.
        let takesOptions = choices.isEmpty || command.configuration.defaultSubcommand != nil
        return verbs + (takesOptions ? moved : []) + rest
    }

    private static func subcommand(_ word: String, of command: any ParsableCommand.Type) -> (
        any ParsableCommand.Type
    )? {
        for candidate in command.configuration.subcommands where candidate.configuration.commandName == word {
            return candidate
        }
        return nil
    }

    private static func isAssignment(_ word: String) -> Bool {
        GlobalOptions.withValue.contains { word.hasPrefix($0 + "=") }
    }

    private static func unknown(_ word: String, after verbs: [String], _ choices: [String]) -> ClientError {
        let kind = verbs == ["submit"] ? "method" : "command"
        let place = verbs.isEmpty || kind == "method" ? "" : " of “\(verbs.joined(separator: " "))”"
        let meant = ClosestName.suggest(for: word, among: choices).map { "did you mean \($0)? " } ?? ""
        return ClientError(
            .usage, "there is no \(kind) “\(Text.safe(String(word.prefix(60))))”\(place)",
            hint: "\(meant)there are: \(choices.joined(separator: ", "))")
    }
}
