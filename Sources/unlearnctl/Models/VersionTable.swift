// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// Versions in columns.
enum VersionTable {
    /// One row a version.
    static func table(_ versions: [VersionSummary]) -> Table {
        var table = Table(
            ["VERSION", "PARENT", "MADE BY", "PLACE", "SIZE", "DIGEST", "CREATED", "NOTE"], right: [4])
        for version in versions {
            let kind = version.kind.map(\.rawValue) ?? "–"
            table.add([
                version.version.description, version.parent?.description ?? "–",
                version.job.map { "\(kind), job \($0)" } ?? kind,
                place(version),
                Text.bytes(version.bytes),
                version.digest.short, Text.relative(version.created), version.note ?? "",
            ])
        }
        return table
    }

    private static func place(_ version: VersionSummary) -> String {
        let place =
            version.head
            ? "head"
            : version.purged != nil ? "purged" : version.gone ? "gone" : version.candidate ? "candidate" : ""
        return ([place] + (version.hold == nil ? [] : ["held"]) + version.tags).filter { !$0.isEmpty }
            .joined(separator: ", ")
    }
}
