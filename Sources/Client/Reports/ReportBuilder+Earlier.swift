// SPDX-License-Identifier: Apache-2.0

import Protocol

extension ReportBuilder {
    /// What became of earlier requests on the model.
    var earlier: [Block] {
        guard let requests = job.evaluation?.earlier, !requests.isEmpty else { return [] }
        var table = ReportTable(
            "Accuracy on the forget set of each request, as its own job counted. Returned means: above what the request was accepted with by more than half of what its job took away, by 0.02 at least and 0.1 at most.",
            ["Job", "Request", "Accepted with", "Before", "After", "Forgotten"], numbers: [2, 3, 4])
        for request in requests {
            table.rows.append(
                ["\(request.job) (\(request.version))", request.request ?? "–"]
                    + [request.accepted, request.before, request.after].map {
                        $0?.forgetAccuracy.map { Text.figure($0) } ?? "–"
                    } + [Self.word(request)])
        }
        var blocks: [Block] = [.table(table)]
        for request in requests where request.status == .notReverifiable {
            blocks.append(
                .note("Job \(request.job) is not re-verifiable: \(request.reason ?? "it was not measured")."))
        }
        return blocks
    }

    private static func word(_ request: EarlierRequest) -> String {
        switch request.status {
        case .forgotten: "yes"
        case .returned: "no"
        case .notReverifiable: "not re-verifiable"
        }
    }
}
