// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `model import`.
struct ModelImport: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Take a Hugging Face model directory into the store.",
        discussion: """
            The directory needs config.json and safetensors; every file is kept byte for byte. You need to be able to \
            read it, the daemon does not: it gets open files from this command. The first import makes v1, a later one \
            under the same name the next version.
            """)
    @Argument(help: "The model's name.", transform: Arguments.model) var name: ModelName
    @Argument(help: "The directory.", completion: .directory) var directory: String

    @Flag(
        name: .customLong("skip-other-weights"),
        help: "Leave out weights in other formats (*.bin, *.pt, *.gguf, …) instead of refusing them.")
    var skipOtherWeights = false

    @Flag(help: "Do not wait for the job.") var detach = false
    @Option(help: ArgumentHelp("Free text kept with the job.", valueName: "text")) var note: String?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let output = session.output
        let source = try SourceDirectory(directory, skipOtherWeights: skipOtherWeights)
        for notice in source.notices { output.note(Text.safe(notice)) }
        var parameters = JobParameters()
        parameters.transfer = try DescriptorSender.send(source.files, session)
        if skipOtherWeights { parameters.skipOtherWeights = true }
        var spec = JobSpec(kind: .import, model: VersionReference(model: name), parameters: parameters)
        spec.note = note
        if detach {
            let (raw, result) = try session.submit(spec)
            if output.isQuiet { return output.data(result.job.map { "\($0.id)" } ?? "") }
            if output.isJSON { return output.json(raw["job"] ?? .null) }
            return output.data("job \(result.job?.id ?? 0) imports \(name)")
        }
        let (raw, job) = try session.perform(spec, onInterrupt: .detach)
        if output.isJSON { return output.json(raw) }
        let made = "\(name)@\(job.version?.description ?? "?")"
        for warning in job.warnings { output.warn(Text.safe(warning)) }
        output.data(
            output.isQuiet
                ? made
                : "\(made) was imported: \(Text.count(source.files.count, "file")), digest \(job.digest?.short ?? "–")"
        )
    }
}
