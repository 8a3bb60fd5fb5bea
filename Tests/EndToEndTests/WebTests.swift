// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import TestSupport
import Testing

/// The web program before a real daemon, asked over real connections.
@Suite(.timeLimit(.minutes(15)))
struct WebTests {
    /// The web program on a port of its own.
    private final class Running {
        let process: ChildProcess
        let port: Int
        let log: String

        init(_ daemon: RunningDaemon, _ arguments: [String] = []) throws {
            log = daemon.directory + "/web.log"
            process = try ChildProcess(
                Products.path("unlearnd-web"),
                ["--listen", "127.0.0.1:0", "--socket", daemon.socket] + arguments,
                environment: ["PATH": "/usr/bin:/bin"], output: "/dev/null", errors: log)
            var found: Int?
            let log = log
            try daemon.eventually("the web program listens") {
                let text = try String(contentsOfFile: log, encoding: .utf8)
                found = text.split(separator: ":").last.flatMap { Int($0.prefix { $0.isNumber }) }
                return found != nil
            }
            port = try #require(found)
        }

        deinit {
            process.signal(SIGKILL)
            _ = try? process.wait()
        }
    }

    /// A daemon with one model, made by job 1.
    private func daemon() throws -> RunningDaemon {
        let daemon = try RunningDaemon()
        let made = try daemon.ctl([
            "model", "create", "people", "--config", ExampleModel.path("config.json"), "--tokenizer",
            ExampleModel.path("tokenizer.json"),
        ])
        #expect(made.status == 0, "\(made.stderr)")
        return daemon
    }

    @Test func `serves figures, health, the queue, models and reports`() throws {
        let daemon = try daemon()
        let web = try Running(daemon)
        let metrics = try HTTPRequest.get("/metrics", port: web.port)
        #expect(metrics.status == 200)
        #expect(metrics.head.contains("application/openmetrics-text; version=1.0.0"))
        #expect(metrics.body.contains("\nunlearnd_models 1\n"))
        #expect(metrics.body.hasSuffix("# EOF\n"))
        #expect(try HTTPRequest.get("/healthz?x=1", port: web.port).body == "ok\n")
        let overview = try HTTPRequest.get("/", port: web.port)
        #expect(overview.body.contains("<a href=\"/jobs/1\">1</a>"))
        #expect(overview.body.contains("<a href=\"/models/people\">people</a>"))
        #expect(overview.head.contains("default-src 'none'"))
        let report = try HTTPRequest.get("/jobs/1", port: web.port)
        #expect(report.status == 200)
        #expect(report.body.contains("Report on job 1"))
        #expect(try HTTPRequest.get("/models/people", port: web.port).body.contains("Model people"))
        for path in ["/jobs/2", "/jobs/x", "/models/none", "/models/%2e%2e", "/etc/passwd", "/jobs/1/2"] {
            #expect(try HTTPRequest.get(path, port: web.port).status == 404, "\(path)")
        }
    }

    @Test func `never shows the texts of rows`() throws {
        let daemon = try daemon()
        let rows = daemon.directory + "/rows.jsonl"
        try ExampleModel.rows("forget.jsonl", 4).write(toFile: rows, atomically: false, encoding: .utf8)
        let measured = try daemon.ctl([
            "submit", "evaluate", "--model", "people", "--forget", rows, "--retain", rows, "--wait",
        ])
        #expect(measured.status == 0, "\(measured.stderr)")
        let web = try Running(daemon)
        let own = try daemon.ctl(["report", "2", "--html", "-"]).stdout
        let served = try HTTPRequest.get("/jobs/2", port: web.port).body
        #expect(own.contains("<q>"))
        #expect(!served.contains("<q>"))
        #expect(served.contains("[withheld]"))
    }

    @Test func `changes nothing and answers only under this machine's names`() throws {
        let daemon = try daemon()
        let web = try Running(daemon, ["--host", "proxy.example"])
        func status(_ request: String) throws -> Int { try HTTPRequest.send(request, port: web.port).status }
        #expect(try status("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") == 405)
        #expect(try status("DELETE /jobs/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") == 405)
        #expect(try status("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx") == 413)
        #expect(try HTTPRequest.get("/", port: web.port, host: "evil.example").status == 421)
        #expect(try HTTPRequest.get("/", port: web.port, host: "localhost.evil.example").status == 421)
        #expect(try HTTPRequest.get("/healthz", port: web.port, host: "127.0.0.1:\(web.port)").status == 200)
        #expect(try HTTPRequest.get("/healthz", port: web.port, host: "proxy.example").status == 200)
        let head = try HTTPRequest.send(
            "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", port: web.port)
        #expect(head.status == 200)
        #expect(head.body.isEmpty)
    }

    @Test func `hostile requests end their connection and nothing else`() throws {
        let daemon = try daemon()
        let web = try Running(daemon)
        let long = String(repeating: "x", count: 200_000)
        for request in [
            "\u{16}\u{3}\u{1}\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            "GET /\(long) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX: \(long)\r\nConnection: close\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: localhost\r\n\r\n0\r\n\r\n",
            "GET / HTTP/9.9\r\n\r\n",
        ] {
            let answer = try HTTPRequest.raw(request, port: web.port)
            #expect(!answer.hasPrefix("HTTP/1.1 200"), "\(request.prefix(80))")
        }
        // More connections than are served: those above the limit are closed, and the place is free again.
        let held = (0..<80).map { _ in socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
        for descriptor in held {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(web.port).bigEndian
            address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
            _ = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        for descriptor in held { close(descriptor) }
        try daemon.eventually("it answers again") {
            (try? HTTPRequest.get("/healthz", port: web.port).status) == 200
        }
    }

    @Test func `says that the daemon is gone, and finds the next one`() throws {
        let daemon = try daemon()
        let web = try Running(daemon)
        #expect(try HTTPRequest.get("/healthz", port: web.port).status == 200)
        try daemon.kill()
        let gone = try HTTPRequest.get("/healthz", port: web.port)
        #expect(gone.status == 503)
        #expect(gone.body.contains(daemon.socket))
        try daemon.start()
        #expect(try HTTPRequest.get("/healthz", port: web.port).status == 200)
        web.process.signal(SIGTERM)
        #expect(try web.process.wait() == 0)
    }

    @Test func `listens where only this machine can reach it`() throws {
        for (address, word) in [
            ("0.0.0.0:0", "loopback"), ("192.0.2.1:80", "loopback"), ("127.0.0.1", "port"),
            ("[::]:0", "loopback"),
        ] {
            let log = NSTemporaryDirectory() + "/web-\(UUID()).log"
            defer { try? FileManager.default.removeItem(atPath: log) }
            let process = try ChildProcess(
                Products.path("unlearnd-web"), ["--listen", address], environment: ["PATH": "/usr/bin:/bin"],
                output: "/dev/null", errors: log)
            #expect(try process.wait() == 64)
            #expect(try String(contentsOfFile: log, encoding: .utf8).contains(word), "\(address)")
        }
    }

    @Test func `a browser shows the pages without a complaint`() throws {
        let known: [String] = ["/usr/bin/chromium", "/usr/bin/google-chrome"]
        guard let browser = known.first(where: { path in access(path, X_OK) == 0 })
        else {
            print(
                "skipped: no Chromium on this machine to show the dashboard in; install it with: apt-get install chromium"
            )
            return
        }
        let daemon = try daemon()
        let web = try Running(daemon)
        for (path, words) in [
            ("/", "The queue is served."), ("/jobs/1", "Report on job 1"), ("/models/people", "Model people"),
        ] {
            let (output, errors) = (daemon.directory + "/dom", daemon.directory + "/browser.log")
            let process = try ChildProcess(
                browser,
                [
                    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                    "--no-first-run",
                    "--user-data-dir=\(daemon.directory)/browser", "--enable-logging=stderr", "--dump-dom",
                    "http://localhost:\(web.port)\(path)",
                ], environment: ["PATH": "/usr/bin:/bin", "HOME": daemon.directory], output: output,
                errors: errors)
            #expect(try process.wait(seconds: 90) == 0)
            let dom = try String(contentsOfFile: output, encoding: .utf8)
            #expect(dom.contains(words))
            // What breaks the page's own rules is written to the console.
            #expect(!(try String(contentsOfFile: errors, encoding: .utf8)).contains("CONSOLE"))
        }
    }
}
