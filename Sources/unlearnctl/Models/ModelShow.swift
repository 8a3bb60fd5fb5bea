// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `model show`.
struct ModelShow: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a model: its versions, the moves of its head, the head's files.")
    @Argument(help: "The model.", completion: LiveCompletion.models, transform: Arguments.model) var model:
        ModelName
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = try session.connection().model(model, deadline: session.deadline)
        let output = session.output
        if output.isJSON { return output.json(raw) }
        let detail = try Connection.decode(ModelDetail.self, raw)
        let (summary, moves, files) = (detail.summary, detail.moves, detail.files)
        if output.isQuiet { return output.data(summary.model.text) }
        let removal = detail.removals.last
        let isRemoved = removal != nil && removal?.last == detail.history.last?.version
        let head =
            summary.head.map { "\(summary.model)@\($0)" }
            ?? (isRemoved ? "\(summary.model), removed" : "no version yet")
        output.data(
            "\(output.styled(head, .bold))  \(summary.architecture.map { Text.safe($0) } ?? "")  \(Text.bytes(summary.bytes))"
        )
        if let digest = summary.digest { output.data("digest \(digest.hex)") }
        for removal in detail.removals {
            output.data(
                "removed \(removal.time) by user \(removal.who), up to \(removal.last): \(Text.safe(removal.reason))"
            )
        }
        output.data("")
        output.table(VersionTable.table(detail.history))
        if !moves.isEmpty {
            var moveTable = Table(["HEAD", "WHEN", "WHO", "WHY"])
            for move in moves {
                moveTable.add([
                    "\(move.from?.description ?? "–") → \(move.to)", Text.relative(move.time),
                    move.who < 0 ? "unlearnd" : "user \(move.who)", move.why,
                ])
            }
            output.data("")
            output.table(moveTable)
        }
        if !detail.requests.isEmpty {
            var requestTable = Table(["FORGOTTEN", "BY", "IN", "STILL KNOWN BY"])
            for request in detail.requests {
                let known =
                    request.knownBy.map(\.description) + request.knownElsewhere.map(\.description)
                requestTable.add([
                    "dataset \(request.forget.short)…", "job \(request.job)", request.version.description,
                    known.isEmpty ? "no version kept" : known.joined(separator: ", "),
                ])
            }
            output.data("")
            output.table(requestTable)
        }
        if !detail.publications.isEmpty {
            var table = Table(["PUBLISHED TO", "DIRECTORY", "SHOWS", "STATE", ""])
            for publication in detail.publications {
                table.add([
                    publication.target, publication.directory ?? "–", publication.version?.description ?? "–",
                    publication.state.rawValue, publication.why ?? "",
                ])
            }
            output.data("")
            output.table(table)
        }
        var fileTable = Table(["FILE", "SIZE", "SHA-256"], right: [1])
        for file in files { fileTable.add([file.path, Text.bytes(file.size), file.sha256.short + "…"]) }
        if !fileTable.isEmpty {
            output.data("")
            output.table(fileTable)
        }
    }
}
