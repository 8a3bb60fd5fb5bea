// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `model history`.
struct ModelHistory: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "List a model's versions, oldest first.")
    @Argument(help: "The model.", completion: LiveCompletion.models, transform: Arguments.model) var model:
        ModelName
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = JSONValue.array(
            try session.connection().history(of: model, deadline: session.deadline))
        if session.output.isJSON { return session.output.json(raw) }
        let versions = try Connection.decode([VersionSummary].self, raw)
        if session.output.isQuiet {
            return versions.forEach { session.output.data("\(model)@\($0.version)") }
        }
        session.output.table(VersionTable.table(versions))
    }
}
