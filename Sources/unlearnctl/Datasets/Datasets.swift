// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `dataset …`.
struct Datasets: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dataset", abstract: "List, show and destroy stored datasets.",
        subcommands: [DatasetList.self, DatasetShow.self, DatasetPurge.self])
}

/// `dataset list`.
struct DatasetList: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the stored datasets.")
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = JSONValue.array(try session.connection().datasets(deadline: session.deadline))
        if session.output.isJSON { return session.output.json(raw) }
        let datasets = try Connection.decode([DatasetSummary].self, raw)
        if session.output.isQuiet { return datasets.forEach { session.output.data($0.dataset.hex) } }
        var table = Table(["DATASET", "ROWS", "SIZE", "CREATED"], right: [1, 2])
        for set in datasets {
            table.add([set.dataset.short, "\(set.rows)", Text.bytes(set.bytes), Text.relative(set.created)])
        }
        session.output.table(table)
    }
}

/// `dataset show`.
struct DatasetShow: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a stored dataset's size.")
    @Argument(help: "The dataset's id, or at least 8 digits of its beginning.") var dataset: String
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let name = dataset.hasPrefix("sha256:") ? String(dataset.dropFirst(7)) : dataset
        let raw = try session.call(.datasetShow, DatasetParams(dataset: name))
        if session.output.isJSON { return session.output.json(raw) }
        let set = try Connection.decode(DatasetSummary.self, raw)
        if session.output.isQuiet { return session.output.data(set.dataset.hex) }
        session.output.data(
            "\(set.dataset.hex)  \(Text.count(set.rows, "row"))  \(Text.bytes(set.bytes))  \(Text.relative(set.created))"
        )
    }
}
