// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `model list`.
struct ModelList: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the models.")
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = JSONValue.array(try session.connection().models(deadline: session.deadline))
        if session.output.isJSON { return session.output.json(raw) }
        let models = try Connection.decode([ModelSummary].self, raw)
        if session.output.isQuiet { return models.forEach { session.output.data($0.model.text) } }
        var table = Table(ModelCells.headings, right: [2, 3, 4])
        for model in models { table.add(ModelCells.cells(model)) }
        session.output.table(table)
    }
}
