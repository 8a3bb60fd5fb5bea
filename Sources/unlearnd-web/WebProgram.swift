// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Glibc
import Protocol

/// The program `unlearnd-web`.
@main
struct WebProgram: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unlearnd-web",
        abstract:
            "Serves figures, a health check and a dashboard of unlearnd over HTTP, to this machine alone.",
        discussion: """
            It is a client like any other: it asks unlearnd over its socket and changes nothing. /metrics is OpenMetrics \
            text, /healthz answers 200 while unlearnd answers and 503 otherwise, / is a page of the queue, the models \
            and the store, with a report on each job. Texts of rows and answers are never served, whoever the program \
            runs as. There is no password: whoever may open a connection to the address sees what it serves. It \
            listens on a loopback address only; put a server that knows its users in front of it to show it to others.
            """,
        version: Software.version)

    @Option(
        help: ArgumentHelp(
            "The loopback address and port to listen on; port 0 takes a free one.", valueName: "address:port"),
        transform: LoopbackAddress.init(argument:))
    var listen = LoopbackAddress.standard

    @Option(
        help: ArgumentHelp(
            "A host name under which a server in front of this one asks; may be repeated.", valueName: "name")
    )
    var host: [String] = []

    @Option(help: ArgumentHelp("unlearnd's socket (environment: UNLEARND_SOCKET).", valueName: "path"))
    var socket: String?

    /// Runs what the command line says.
    static func main() async {
        StandardDescriptors.hold()
        await main(nil)
    }

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        let pages = Pages(socket: socket ?? SocketPath.standard)
        let server = WebServer(address: listen, hosts: HostRule(names: host), pages: pages)
        do { try await server.run() } catch let failure as WebServer.Failure {
            Self.say("unlearnd-web: \(failure.message)")
            throw ArgumentParser.ExitCode(Protocol.ExitCode.configuration.rawValue)
        }
    }

    /// Writes a line to standard error.
    static func say(_ text: String) {
        let bytes = Array((Text.safe(text) + "\n").utf8)
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
