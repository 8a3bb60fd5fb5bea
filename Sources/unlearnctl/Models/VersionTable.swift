// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// Versions in columns.
enum VersionTable {
    /// One row a version.
    static func table(_ versions: [VersionSummary]) -> Table {
        var table = Table(VersionCells.headings, right: [4])
        for version in versions { table.add(VersionCells.cells(version)) }
        return table
    }
}
