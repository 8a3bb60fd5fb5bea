// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `generate`.
struct Generate: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Let versions continue texts; several versions side by side.",
        discussion: """
            Without more, the most likely token is taken each time. --temperature, --top-k and --top-p draw instead, in \
            this order and with the meaning that they have in transformers; the same --seed gives the same text, \
            whatever else is generated beside it. A text ends at the model's end tokens, or at those of its --template.

            With --json: {"ids","text",…} for one prompt of one version, a list of them for several prompts or samples, \
            and a list with one entry for each version where there are several.
            """)
    @Argument(
        help: "The versions, MODEL[@vN].", completion: LiveCompletion.versions, transform: Arguments.version)
    var models: [VersionReference]

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("A text to continue. May be repeated.", valueName: "text"))
    var prompt: [String] = []

    @Option(
        help: ArgumentHelp(
            """
            A file with one prompt a line, or - for standard input; a line that is a JSON object gives its prompt or \
            question.
            """, valueName: "file"), completion: .file())
    var prompts: String?

    @Option(
        name: .customLong("max-new-tokens"),
        help: ArgumentHelp("At most so many tokens (default 32).", valueName: "number"))
    var maxNewTokens: Int?

    @Option(
        help: ArgumentHelp("Draw from softmax(logits / temperature); 0 is the default.", valueName: "number"),
        transform: Arguments.finite)
    var temperature: Double?

    @Option(
        name: .customLong("top-k"),
        help: ArgumentHelp("Draw from so many of the most likely tokens.", valueName: "number"))
    var topK: Int?

    @Option(
        name: .customLong("top-p"),
        help: ArgumentHelp(
            "Draw from the most likely tokens that make up this share.", valueName: "share"),
        transform: Arguments.finite)
    var topP: Double?

    @Option(help: ArgumentHelp("Seed of the random numbers (default 0).", valueName: "number"))
    var seed: UInt64?

    @Option(help: ArgumentHelp("Samples of each prompt (default 1).", valueName: "number"))
    var count: Int?

    @Option(
        help: ArgumentHelp(
            "Why, where a version still knows what its model was made to forget and is restricted.",
            valueName: "text"))
    var reason: String?
    @OptionGroup(title: "Prompts") var layout: TemplateOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    func validate() throws {
        if prompt.isEmpty == (prompts == nil) {
            throw ValidationError("Give --prompt TEXT, once or more, or --prompts FILE.")
        }
    }

    func run(in session: Session) throws(ClientError) {
        let texts = try prompts.map { file throws(ClientError) in try read(file) } ?? prompt
        var parameters = JobParameters()
        if texts.count == 1 { parameters.prompt = texts[0] } else { parameters.prompts = texts }
        parameters.maxNewTokens = maxNewTokens
        parameters.temperature = temperature
        parameters.topK = topK
        parameters.topP = topP
        parameters.count = count
        parameters.reason = reason
        layout.apply(to: &parameters)
        let jobs = try session.perform(
            models.map { model in
                var spec = JobSpec(kind: .generate, model: model, parameters: parameters)
                spec.seed = seed
                return spec
            }
        ).map(\.job)
        let output = session.output
        if output.isJSON {
            let results = jobs.map { $0.result ?? .null }
            return output.json(results.count == 1 ? results.first ?? .null : .array(results))
        }
        for job in jobs {
            let name = job.model.map { "\($0)" + (job.base.map { "@\($0)" } ?? "") } ?? ""
            let results = job.result?.arrayValue ?? [job.result ?? .null]
            for (index, result) in results.enumerated() {
                // On a terminal the model's words must not steer it; elsewhere they are data.
                let text = result["plain_text"]?.stringValue ?? ""
                let shown =
                    output.tableWidth == nil
                    ? text : text.isEmpty ? "[empty]" : Text.safe(text, keepingLines: true)
                if jobs.count * results.count > 1, !output.isQuiet {
                    let number = results.count > 1 ? " \(index + 1)" : ""
                    output.data(output.styled((jobs.count > 1 ? name + number : "\(index + 1)") + ":", .bold))
                }
                output.data(shown)
            }
        }
    }

    /// The prompts of a file.
    private func read(_ file: String) throws(ClientError) -> [String] {
        let name = TextFile.name(file)
        guard let text = String(validating: try TextFile.read(file), as: UTF8.self) else {
            throw ClientError(.badInput, "\(name) is not UTF-8", hint: "convert it, for example with iconv")
        }
        var found: [String] = []
        let lines = text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false)
        for (number, bytes) in lines.enumerated() {
            let line = Substring(bytes.last == 0x0D ? bytes.dropLast() : bytes)
            if line.isEmpty { continue }
            guard line.hasPrefix("{"), let row = try? StrictJSON.parse(String(line)), row.objectValue != nil
            else {
                found.append(String(line))
                continue
            }
            if let prompt = row["prompt"]?.stringValue {
                found.append(prompt)
            } else if let question = row["question"]?.stringValue {
                found.append(plainLayout ? DatasetRow.prompt(forQuestion: question) : question)
            } else {
                throw ClientError(
                    .badInput, "\(name), line \(number + 1): the object has neither a prompt nor a question",
                    hint: "write the prompts as lines of text, or as {\"prompt\": …}")
            }
        }
        guard !found.isEmpty else {
            throw ClientError(.badInput, "\(name) holds no prompt", hint: "write one a line")
        }
        return found
    }

    private var plainLayout: Bool {
        layout.template ?? .plain == .plain && layout.promptPrefix == nil && layout.promptSuffix == nil
    }
}
