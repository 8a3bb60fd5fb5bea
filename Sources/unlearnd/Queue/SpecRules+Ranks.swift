// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The rules of jobs that several processes do together.
extension SpecRules {
    static func checkRanks(
        _ parameters: JobParameters, _ range: (String, Int?, ClosedRange<Int>) throws(RPCError) -> Void
    ) throws(RPCError) {
        try range("ranks", parameters.ranks, 1...4096)
        guard let ranks = parameters.ranks, ranks > 1 else { return }
        if parameters.launcher == .local {
            throw fault(
                "parameters.launcher", "the launcher local starts one process, not \(ranks)",
                "use --launcher mpi, or leave --ranks out")
        }
        let rows = parameters.batchSize ?? 4
        if ranks > rows {
            throw fault(
                "parameters.ranks", "\(ranks) ranks cannot share batches of \(rows) rows",
                "raise --batch-size, or use fewer ranks")
        }
    }
}
