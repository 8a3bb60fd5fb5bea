// SPDX-License-Identifier: Apache-2.0

/// The arithmetic mean in double precision.
package enum Mean {
    /// - Returns: `nil` for no values.
    package static func of(_ values: some Collection<Double>) -> Double? {
        values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
}
