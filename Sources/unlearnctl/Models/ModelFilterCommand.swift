// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Glibc
import Protocol

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// `model filter`.
struct ModelFilterCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "filter",
        abstract: "Write the hashed n-grams of what a version was made to forget, to filter its output with.",
        discussion: """
            The forget sets of all unlearning jobs behind the version, cut into runs of N words and hashed under a new \
            salt: a server that hashes what the model says in the same way notices forgotten text without holding it. \
            Answers of fewer words count as a whole. The format and a checker: docs/formats.md, Examples/filter.

            It holds no text, but whoever has it can test guesses: give it to those who serve the model only.
            """)

    @Argument(
        help: "The version, MODEL[@vN]; the head without @vN.", completion: LiveCompletion.versions,
        transform: Arguments.version)
    var version: VersionReference
    @Option(
        name: .customLong("n"), help: ArgumentHelp("Words of a run, 2 to 32 (default 5).", valueName: "words")
    )
    var n: Int?
    @Option(
        help: ArgumentHelp(
            "Least words of a shorter answer that counts as a whole (default 2).", valueName: "words"))
    var minimum: Int?
    @Option(
        help: ArgumentHelp("The file to write; standard output without it.", valueName: "file"),
        completion: .file())
    var output: String?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        var params = ModelFilterParams(version: version, n: n, minimum: minimum)
        var filter = try page(params, session)
        var hashes = Data(base64Encoded: filter.hashes) ?? Data()
        // The head may move between two pages: the rest is asked of the version that answered.
        params.version = filter.model
        params.salt = filter.salt
        while let next = filter.next {
            params.offset = next
            filter = try page(params, session)
            hashes.append(Data(base64Encoded: filter.hashes) ?? Data())
        }
        guard hashes.count == filter.count * 8 else {
            throw ClientError(.protocolMismatch, "the filter changed while it was read", hint: "try again")
        }
        filter.hashes = hashes.base64EncodedString()
        guard let value = try? JSONValue(encoding: filter) else {
            throw ClientError(.internalError, "the filter cannot be written")
        }
        guard let output else { return session.output.json(value) }
        try PrivateFile.write(value.serializedString() + "\n", to: output)
        session.output.note(
            "\(filter.count) hashed n-grams of \(Text.count(filter.rows, "row")) are in \(Text.safe(output))")
        if !filter.missing.isEmpty {
            session.output.warn(
                "\(Text.count(filter.missing.count, "forget set")) were purged and are not in it")
        }
        if filter.skipped > 0 {
            session.output.warn(
                "\(Text.count(filter.skipped, "row")) are not in it: ids, or answers of too few words")
        }
    }

    private func page(_ params: ModelFilterParams, _ session: Session) throws(ClientError) -> ModelFilter {
        try session.call(.modelFilter, params, as: ModelFilter.self)
    }
}
