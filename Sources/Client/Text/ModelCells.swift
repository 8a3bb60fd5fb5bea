// SPDX-License-Identifier: Apache-2.0

import Protocol

/// A model as a row of a table.
package enum ModelCells {
    /// What stands in each column.
    package static let headings = [
        "MODEL", "HEAD", "VERSIONS", "CANDIDATES", "SIZE", "ARCHITECTURE", "CREATED",
    ]

    /// The row of `model`.
    package static func cells(_ model: ModelSummary) -> [String] {
        [
            model.model.text, model.head?.description ?? "–", "\(model.versions)", "\(model.candidates)",
            Text.bytes(model.bytes), model.architecture ?? "–", Text.relative(model.created),
        ]
    }
}
