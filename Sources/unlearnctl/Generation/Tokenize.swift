// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `tokenize`.
struct Tokenize: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize", abstract: "Show the token ids of a text, as a JSON list.")
    @Argument(
        help: "The version whose tokenizer is used, MODEL[@vN].", completion: LiveCompletion.versions,
        transform: Arguments.version)
    var model: VersionReference
    @Option(parsing: .unconditional, help: ArgumentHelp("The text.", valueName: "text")) var text: String?
    @Option(
        help: ArgumentHelp("A file with the text, or - for standard input.", valueName: "file"),
        completion: .file()) var file: String?
    @Flag(help: "Add the tokenizer's special tokens.") var special = false
    @OptionGroup(title: "Global") var options: GlobalOptions

    func validate() throws {
        if (text == nil) == (file == nil) { throw ValidationError("Give either --text TEXT or --file FILE.") }
    }

    func run(in session: Session) throws(ClientError) {
        var parameters = JobParameters()
        if let file {
            let bytes = try TextFile.read(file)
            guard let read = String(validating: bytes, as: UTF8.self) else {
                throw ClientError(
                    .badInput, "\(TextFile.name(file)) is not UTF-8",
                    hint: "convert it, for example with iconv")
            }
            parameters.text = read
        } else {
            parameters.text = text
        }
        if special { parameters.special = true }
        let job = try session.perform(JobSpec(kind: .tokenize, model: model, parameters: parameters)).job
        session.output.json(job.result ?? .array([]))
    }
}
