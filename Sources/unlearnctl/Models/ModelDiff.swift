// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `model diff`.
struct ModelDiff: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Compare two versions tensor by tensor.",
        discussion: "l2 is the Euclidean norm of B − A in 64-bit arithmetic; relative to the norm of A.")
    @Argument(
        help: "The first version, MODEL[@vN].", completion: LiveCompletion.versions,
        transform: Arguments.version) var first: VersionReference
    @Argument(help: "The second version.", completion: LiveCompletion.versions, transform: Arguments.version)
    var second: VersionReference
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        var parameters = JobParameters()
        parameters.other = second
        let job = try session.perform(JobSpec(kind: .diff, model: first, parameters: parameters)).job
        let result = job.result ?? .array([])
        if session.output.isJSON { return session.output.json(result) }
        let rows = result.arrayValue ?? []
        let changed = rows.filter { $0["changed"] != .bool(false) }
        if session.output.isQuiet {
            return changed.forEach { session.output.data(Text.safe($0["tensor"]?.stringValue ?? "")) }
        }
        var table = Table(["TENSOR", "L2", "RELATIVE"], right: [1, 2])
        for row in changed {
            table.add([
                row["tensor"]?.stringValue ?? "", Text.figure(row["l2"]?.doubleValue),
                Text.figure(row["relative_l2"]?.doubleValue),
            ])
        }
        if !table.isEmpty { session.output.table(table) }
        session.output.note("\(changed.count) of \(Text.count(rows.count, "tensor")) differ")
    }
}
