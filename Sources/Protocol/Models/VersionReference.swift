// SPDX-License-Identifier: Apache-2.0

/// What a user names: `MODEL@v2`, or `MODEL` for its head.
package struct VersionReference: Hashable, Sendable, CustomStringConvertible {
    /// The model.
    package var model: ModelName
    /// The version; `nil` means the head at the moment of use.
    package var version: VersionNumber?

    /// A reference from its parts.
    package init(model: ModelName, version: VersionNumber? = nil) {
        self.model = model
        self.version = version
    }

    /// Reads `MODEL` or `MODEL@vN`; `nil` for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let model = ModelName(String(first)) else { return nil }
        self.model = model
        if parts.count == 2 {
            guard let version = VersionNumber(String(parts[1])) else { return nil }
            self.version = version
        }
    }

    /// The rule that a reference must meet, for error messages.
    package static let rule = "a model is written NAME or NAME@v2; \(ModelName.rule)"

    package var description: String { version.map { "\(model)@\($0)" } ?? model.text }
}

extension VersionReference: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let reference = VersionReference(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\(text.debugDescription): \(Self.rule)")
        }
        self = reference
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
