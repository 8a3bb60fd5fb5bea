// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `model rm`.
struct ModelRemove: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Take a model and all its versions out of use; for administrators.",
        discussion: """
            model list shows it no more. Its history, jobs, reports, certificates and audit rows stay, and say when it was \
            removed; model show says why. What nothing else needs of its files goes with the next store gc. Numbers are not \
            given again: what is imported under the name later goes on with the next. Refused while a version is held, a \
            target follows the model, or an unfinished job uses it.

            This is no erasure: only a purge destroys bytes so that it can be proved, keeps them from coming back, and says \
            which backups and exports still have them. Purge first what must be forgotten: see purge --help.
            """)
    @Argument(help: "The model.", completion: LiveCompletion.models, transform: Arguments.model) var model:
        ModelName
    @Option(help: ArgumentHelp("Why; kept with the removal, not in the audit log.", valueName: "text"))
    var reason: String
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        try Confirmation.ask("\(model) and all its versions go out of use.", session)
        let raw = try session.call(.modelRemove, RemoveModelParams(model: model, reason: reason))
        let output = session.output
        if output.isJSON { return output.json(raw) }
        if output.isQuiet { return output.data(model.text) }
        let result = try Connection.decode(RemoveModelResult.self, raw)
        let count = result.versions.count
        output.data("\(model) is removed, with \(count) version\(count == 1 ? "" : "s") that had files")
        if !result.backups.isEmpty {
            output.data("still in backups: \(result.backups.map { Text.safe($0) }.joined(separator: ", "))")
        }
        output.note("unlearnctl store gc frees what nothing else needs")
    }
}
