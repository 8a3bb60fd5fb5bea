// SPDX-License-Identifier: Apache-2.0

import Protocol

/// A version as a row of a table.
package enum VersionCells {
    /// What stands in each column.
    package static let headings = [
        "VERSION", "PARENT", "MADE BY", "PLACE", "SIZE", "DIGEST", "CREATED", "NOTE",
    ]

    /// The row of `version`.
    package static func cells(_ version: VersionSummary) -> [String] {
        let kind = version.kind.map(\.rawValue) ?? "–"
        return [
            version.version.description, version.parent?.description ?? "–",
            version.job.map { "\(kind), job \($0)" } ?? kind, place(version), Text.bytes(version.bytes),
            version.digest.short, Text.relative(version.created), version.note ?? "",
        ]
    }

    private static func place(_ version: VersionSummary) -> String {
        let place =
            version.head
            ? "head"
            : version.purged != nil
                ? "purged"
                : version.removed != nil
                    ? "removed"
                    : version.gone
                        ? "gone" : version.retention?.rawValue ?? (version.candidate ? "candidate" : "")
        let expiry = version.expires.map { ["expires \(Text.relative($0))"] } ?? []
        return ([place] + expiry + (version.hold == nil ? [] : ["held"]) + version.tags).filter {
            !$0.isEmpty
        }
        .joined(separator: ", ")
    }
}
