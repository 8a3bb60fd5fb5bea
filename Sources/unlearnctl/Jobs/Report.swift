// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `report`.
struct Report: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Report on a job: what was asked, what it changed, how it was measured.",
        discussion: """
            Without an option the report is written for the terminal. --html writes one page that needs nothing else \
            and can be printed, --markdown a text with tables, --json everything as data. Texts of rows and answers stand \
            in it as long as they are kept: handle the file as you handle the data. After a purge the figures stay and \
            the texts read “[purged]”.
            """)

    @Argument(help: "The job's number.", completion: LiveCompletion.jobs(), transform: Arguments.job) var job:
        JobID

    @Option(
        help: ArgumentHelp(
            "Write one self-contained page of HTML, or - for standard output.", valueName: "file"),
        completion: .file())
    var html: String?

    @Option(
        help: ArgumentHelp("Write Markdown, or - for standard output.", valueName: "file"),
        completion: .file())
    var markdown: String?

    @OptionGroup(title: "Global") var options: GlobalOptions

    func validate() throws {
        if html == "-", markdown == "-" {
            throw ValidationError("Only one of --html and --markdown can go to standard output.")
        }
        if options.json, html == "-" || markdown == "-" {
            throw ValidationError("--json goes to standard output: name a file for the other form.")
        }
    }

    func run(in session: Session) throws(ClientError) {
        let builder = ReportBuilder(
            source: try ReportSource(job, session.connection(), deadline: session.deadline))
        let document = builder.document
        if let html { try write(HTMLReport.page(document), to: html, session.output) }
        if let markdown { try write(MarkdownReport.text(document), to: markdown, session.output) }
        if session.output.isJSON {
            session.output.json(builder.source.json(limits: builder.limits))
        } else if html == nil, markdown == nil {
            session.output.raw(TerminalReport.text(document, session.output))
        }
    }

    private func write(_ text: String, to path: String, _ output: Output) throws(ClientError) {
        if path == "-" { return output.raw(text) }
        try PrivateFile.write(text, to: path)
        output.note("the report on job \(job) is in \(Text.safe(path))")
    }
}
