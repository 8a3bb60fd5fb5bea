// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// What became of earlier requests, for people.
enum EarlierText {
    /// A line for each; empty where there are none.
    static func text(_ job: Job) -> String {
        guard let requests = job.evaluation?.earlier, !requests.isEmpty else { return "" }
        return "\nearlier requests\n"
            + requests.map { request in
                let figures =
                    request.reason.map { ": \($0)" }
                    ?? ", forget accuracy \(number(request.before)) before, \(number(request.after)) after"
                    + (request.accepted == nil ? "" : ", accepted with \(number(request.accepted))")
                return Text.safe("  job \(request.job): \(request.status.rawValue)\(figures)") + "\n"
            }.joined()
    }

    private static func number(_ figures: EarlierRequest.Figures?) -> String {
        figures?.forgetAccuracy.map { Text.fixed($0, 3) } ?? "–"
    }
}
