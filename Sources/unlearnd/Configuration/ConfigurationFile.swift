// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// What stands in the configuration's file (YAML): a key with a plain value in each line, and lists.
struct ConfigurationFile {
    /// Larger files are not read.
    private static let largest = 1 << 20
    /// The key of the list of hooks.
    private static let hooksKey = "hooks"
    /// The key of the publish targets.
    private static let targetsKey = "publish_targets"

    /// The key of the list of placements.
    private static let placementsKey = "placements"

    /// The plain values, as text.
    private(set) var values: [DaemonConfiguration.Key: String] = [:]
    private(set) var hooks: [Hook] = []
    private(set) var publishTargets: [String: PublishTarget] = [:]
    private(set) var placements: [PlacementRule] = []

    /// Reads the file. One of comments alone, as the package installs it, sets nothing.
    ///
    /// A key that means nothing is refused: a misspelled limit must not be a missing one.
    /// - Throws: ``DaemonConfiguration/Fault`` that names the line.
    init(_ path: String) throws(DaemonConfiguration.Fault) {
        guard let text = SmallFile.read(path, limit: Self.largest + 1) else {
            let reason = String(cString: strerror(errno))
            throw .init(
                message: "the configuration \(path) cannot be read: \(reason)", hint: "check --config")
        }
        let documents: [StrictYAML.Document]
        do { documents = try StrictYAML.parse(text, limits: .init(bytes: Self.largest)) } catch {
            throw .init(message: "\(path), line \(error.line): \(error.reason)", hint: "correct the file")
        }
        guard documents.count <= 1 else {
            throw .init(
                message: "\(path): holds \(documents.count) documents", hint: "leave out the lines “---”")
        }
        guard let document = documents.first, !document.value.isNull else { return }
        guard let object = document.value.objectValue else {
            throw .init(
                message: "\(path), line \(document.line(of: "")): is not of the form \"key: value\"",
                hint: "write a key, a colon, a space and the value")
        }
        for member in object.members {
            let place = "\(path), line \(document.line(of: member.key))"
            if member.key == Self.hooksKey {
                hooks = try Hook.list(member.value) { "\(path), line \(document.line(of: $0))" }
                continue
            }
            if member.key == Self.targetsKey {
                publishTargets = try PublishTarget.list(member.value) {
                    "\(path), line \(document.line(of: $0))"
                }
                continue
            }
            if member.key == Self.placementsKey {
                placements = try PlacementRule.list(member.value) { "\(path), line \(document.line(of: $0))" }
                continue
            }
            guard let key = DaemonConfiguration.Key(rawValue: member.key) else {
                let known =
                    DaemonConfiguration.Key.allCases.map(\.rawValue) + [
                        Self.hooksKey, Self.targetsKey, Self.placementsKey,
                    ]
                let near = ClosestName.suggest(for: member.key, among: known)
                throw .init(
                    message: "\(place): \"\(member.key)\" is not a known key",
                    hint: near.map { "did you mean \"\($0)\"?" } ?? "known: \(known.joined(separator: ", "))")
            }
            switch member.value {
            case .string(let text): values[key] = text
            case .integer, .number, .bool: values[key] = member.value.serializedString()
            case .null, .array, .object:
                throw .init(
                    message: "\(place): \(member.key) is \(member.value.kindName), not one plain value",
                    hint: "leave the line out for the default")
            }
        }
    }
}
