// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// An answer to a request.
struct Page: Sendable {
    var status: Int
    var type = "text/plain; charset=utf-8"
    var body: String
    /// Seconds after which a browser asks again.
    var refresh: Int?

    /// A line of plain text.
    static func plain(_ status: Int, _ text: String) -> Page { Page(status: status, body: text + "\n") }

    /// A page of HTML.
    static func html(_ document: ReportDocument, status: Int = 200, refresh: Int? = nil) -> Page {
        var document = document
        document.pages = [("Overview", "/"), ("Metrics", "/metrics")]
        return Page(
            status: status, type: "text/html; charset=utf-8",
            body: HTMLReport.page(document, by: "unlearnd-web"), refresh: refresh)
    }

    /// What the daemon's silence or refusal becomes.
    static func failure(_ error: ClientError) -> Page {
        let status =
            switch error.status {
            case .notFound: 404
            case .notReachable, .tryAgain, .timedOut: 503
            default: 502
            }
        return plain(status, error.message + (error.hint.map { "\n\($0)" } ?? ""))
    }
}
