// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `generate`.
struct Generate: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Let versions continue a text, greedily; several side by side.")
    @Argument(help: "The versions, MODEL[@vN].", transform: Arguments.version) var models: [VersionReference]
    @Option(parsing: .unconditional, help: ArgumentHelp("The text to continue.", valueName: "text"))
    var prompt: String
    @Option(
        name: .customLong("max-new-tokens"),
        help: ArgumentHelp("At most so many tokens (default 32).", valueName: "number"))
    var maxNewTokens: Int?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        var parameters = JobParameters()
        parameters.prompt = prompt
        parameters.maxNewTokens = maxNewTokens
        let jobs = try session.perform(
            models.map { JobSpec(kind: .generate, model: $0, parameters: parameters) }
        ).map(\.job)
        let output = session.output
        if output.isJSON {
            let results = jobs.map { $0.result ?? .null }
            return output.json(results.count == 1 ? results.first ?? .null : .array(results))
        }
        for job in jobs {
            // On a terminal the model's words must not steer it; elsewhere they are data.
            let text = job.result?["plain_text"]?.stringValue ?? ""
            let shown = output.tableWidth == nil ? text : Text.safe(text, keepingLines: true)
            if jobs.count > 1, !output.isQuiet {
                let name = job.model.map { "\($0)" + (job.base.map { "@\($0)" } ?? "") } ?? ""
                output.data(output.styled("\(name):", .bold))
            }
            output.data(shown)
        }
    }
}
