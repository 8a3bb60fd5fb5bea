// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `model create`.
struct ModelCreate: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a new model with random weights from a configuration.",
        discussion: "The weights are drawn from the seed: the same files and seed give the same bytes.")
    @Argument(help: "The new model's name.", transform: Arguments.model) var name: ModelName
    @Option(help: ArgumentHelp("The model's config.json.", valueName: "file")) var config: String
    @Option(help: ArgumentHelp("The model's tokenizer.json.", valueName: "file")) var tokenizer: String
    @Option(
        name: .customLong("tokenizer-config"),
        help: ArgumentHelp("The model's tokenizer_config.json.", valueName: "file"))
    var tokenizerConfig: String?
    @Option(help: ArgumentHelp("Seed of the random weights.", valueName: "number")) var seed: UInt64?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        var files = [
            SourceEntry(name: "config.json", path: config),
            SourceEntry(name: "tokenizer.json", path: tokenizer),
        ]
        if let tokenizerConfig {
            files.append(SourceEntry(name: "tokenizer_config.json", path: tokenizerConfig))
        }
        var parameters = JobParameters()
        parameters.transfer = try DescriptorSender.send(files, session)
        var spec = JobSpec(kind: .create, model: VersionReference(model: name), parameters: parameters)
        spec.seed = seed
        let (raw, job) = try session.perform(spec)
        if session.output.isJSON { return session.output.json(raw) }
        let made = "\(name)@\(job.version?.description ?? "?")"
        session.output.data(session.output.isQuiet ? made : "\(made) was made")
    }
}
