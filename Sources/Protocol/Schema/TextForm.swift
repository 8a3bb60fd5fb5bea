// SPDX-License-Identifier: Apache-2.0

/// A type that is written as a string of a certain form.
package protocol TextForm: Codable {
    /// A regular expression (ECMA-262) that every text of the type matches.
    static var pattern: String { get }
    /// Any value.
    static var example: Self { get }
}

/// Names of which some are known and others may come: readers must accept any.
package protocol OpenNames: RawRepresentable<String>, Codable {
    /// The names that are known.
    associatedtype Known: RawRepresentable<String> & CaseIterable
    init(rawValue: String)
}

extension OpenNames {
    /// A name that is known.
    init(_ known: Known) { self.init(rawValue: known.rawValue) }

    /// The texts of the known names.
    package static var known: [String] { Known.allCases.map(\.rawValue) }
}

extension ModelName: TextForm {
    package static let pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
    package static var example: ModelName { VersionReference.example.model }
}

extension VersionNumber: TextForm {
    package static let pattern = "^v[1-9][0-9]*$"
    package static let example = VersionNumber(1)!
}

extension VersionReference: TextForm {
    package static let pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}(@v[1-9][0-9]*)?$"
    package static let example = VersionReference("model")!
}

extension Digest: TextForm {
    package static let pattern = "^[0-9a-f]{64}$"
    package static let example = Digest(bytes: [UInt8](repeating: 0, count: 32))!
}

extension Timestamp: TextForm {
    package static let pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
    package static let example = Timestamp(milliseconds: 0)
}

extension LayerSelection: TextForm {
    package static let pattern = "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$"
    package static let example = LayerSelection("0")!
}
