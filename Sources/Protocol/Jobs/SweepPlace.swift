// SPDX-License-Identifier: Apache-2.0

/// A job's place in the family that a sweep made. The daemon writes it; no client may.
package struct SweepPlace: Codable, Hashable, Sendable {
    /// Most jobs of one family.
    package static let most = 64

    /// Names the family.
    package var family: String
    /// The job's number in the family, from 1.
    package var index: Int
    /// Jobs of the family.
    package var size: Int
    /// The parameters that differ within the family, by name.
    package var values: [String: JSONValue]

    /// A place from its parts.
    package init(family: String, index: Int, size: Int, values: [String: JSONValue]) {
        self.family = family
        self.index = index
        self.size = size
        self.values = values
    }

    /// `alpha 0.5, learning_rate 1e-05`.
    package var description: String {
        values.sorted { $0.key < $1.key }.map {
            "\($0.key) \($0.value.stringValue ?? $0.value.serializedString())"
        }.joined(separator: ", ")
    }
}

/// One parameter of a sweep and the values that it takes.
package struct SweepAxis: Codable, Hashable, Sendable {
    /// A parameter as ``JobParameters`` spells it, or `seed`.
    package var parameter: String
    /// At least one, none twice.
    package var values: [JSONValue]

    /// An axis from its parts.
    package init(parameter: String, values: [JSONValue]) {
        self.parameter = parameter
        self.values = values
    }

    /// Reads `learning-rate=1e-5,2e-5`; values are numbers, `true`, `false`, or else words.
    package init?(_ text: String) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty else { return nil }
        parameter = String(parts[0]).replacing("-", with: "_")
        let words = parts[1].split(separator: ",", omittingEmptySubsequences: false)
        guard !words.contains("") else { return nil }
        values = words.map { word in
            switch try? StrictJSON.parse(String(word)) {
            case .some(let value) where value.doubleValue != nil || value.boolValue != nil: value
            default: .string(String(word))
            }
        }
    }
}
