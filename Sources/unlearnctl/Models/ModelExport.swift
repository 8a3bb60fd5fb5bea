// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `model export`.
struct ModelExport: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a version's files to a new directory, byte for byte.",
        discussion: """
            The files are written beside DIR, read back and held against the version's SHA-256 sums; only then they take \
            DIR's place. With --detach the daemon writes into DIR itself and nothing reads it back: DIR is whole when \
            “unlearnctl wait JOB” says so. With --adapter it is the LoRA adapter that was merged into the version (see \
            --lora-rank), as PEFT loads it: adapter_config.json and adapter_model.safetensors.
            """)
    @Argument(
        help: "The version, MODEL[@vN]; the head without @vN.", completion: LiveCompletion.versions,
        transform: Arguments.version)
    var version: VersionReference
    @Argument(help: "The directory: one that does not exist yet, or an empty one.", completion: .directory)
    var directory: String
    @Flag(help: "Write the adapter that was trained and merged into the version instead of the version.")
    var adapter = false
    @Option(
        help: ArgumentHelp(
            "Why, where the version still knows what the model was made to forget and is restricted.",
            valueName: "text"))
    var reason: String?
    @Flag(help: "Do not wait for the job.") var detach = false
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let output = session.output
        let interrupts = Interrupts()
        let info = try session.call(.systemInfo, as: SystemInfo.self)
        let target = try ExportTarget(directory, inPlace: detach, outside: info.stateDirectory)
        let content = try session.connection().files(of: version, deadline: session.deadline)
        let names =
            adapter ? ["adapter_config.json", "adapter_model.safetensors"] : content.files.map(\.path)
        var parameters = JobParameters()
        if adapter { parameters.adapter = true }
        parameters.reason = reason
        parameters.transfer = try DescriptorSender.send(.export, names, session) {
            (index: Int) throws(ClientError) -> Descriptor in try target.create(names[index])
        }
        // The version is named by number: the head may move between the two requests.
        let fixed = VersionReference(model: content.model, version: content.version)
        let spec = JobSpec(kind: .export, model: fixed, parameters: parameters)
        if detach {
            let (raw, result) = try session.submit(spec)
            target.release()
            if output.isQuiet { return output.data(result.job.map { "\($0.id)" } ?? "") }
            if output.isJSON { return output.json(raw["job"] ?? .null) }
            return output.data("job \(result.job?.id ?? 0) exports \(fixed) to \(Text.safe(directory))")
        }
        let raw = try session.perform(spec).raw
        let files = adapter ? try Self.files(of: raw) : content.files
        for (index, file) in files.enumerated() {
            if interrupts.isPending { throw ClientError(.detached, "interrupted; nothing was written") }
            output.progress("checking \(Text.safe(file.path))  \(index + 1)/\(files.count)")
            try target.verify(file)
        }
        try target.publish()
        output.progress("")
        if output.isJSON { return output.json(raw) }
        let bytes = files.reduce(0) { $0 + $1.size }
        output.data(
            output.isQuiet
                ? directory
                : "\(adapter ? "the adapter of " : "")\(fixed) is in \(Text.safe(directory)): \(Text.count(files.count, "file")), \(Text.bytes(bytes)), every SHA-256 checked"
        )
    }

    /// The files that the job says it wrote.
    private static func files(of job: JSONValue) throws(ClientError) -> [FileSummary] {
        do {
            return try (job["result"]?["files"]?.arrayValue ?? []).map {
                try $0.decode(FileSummary.self, allowUnknown: true)
            }
        } catch {
            throw ClientError(.protocolMismatch, "the job's files cannot be read: \(error)")
        }
    }
}
