// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `rollback`.
struct Rollback: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback",
        abstract: "Make an earlier version a model's head again; copies nothing, loses nothing.")

    @Argument(help: "The model.", completion: LiveCompletion.models, transform: Arguments.model) var model:
        ModelName
    @Option(help: ArgumentHelp("The version to go back to.", valueName: "vN"), transform: Arguments.number)
    var to: VersionNumber
    @Option(
        help: ArgumentHelp(
            "Why; required of an administrator where the version is restricted.", valueName: "text"))
    var reason: String?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = try session.call(.modelRollback, RollbackParams(model: model, to: to, reason: reason))
        try HeadMoveText.show(raw, session.output)
    }
}
