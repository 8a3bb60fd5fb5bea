// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// Jobs in columns.
enum JobTable {
    /// One row a job.
    static func table(_ jobs: [Job]) -> Table {
        var table = Table(JobCells.headings, right: [0])
        for job in jobs { table.add(JobCells.cells(job)) }
        return table
    }
}
