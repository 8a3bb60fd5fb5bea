// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Where jobs of a group or of some kinds run, where their submitters choose no place.
package struct PlacementRule: Hashable, Sendable {
    /// The group; `nil` for jobs of any or none.
    var group: String?
    /// The kinds; empty for all that can.
    var kinds: Set<JobKind>
    var launcher: Launcher
    /// The cluster's partition.
    var partition: String?

    /// Most rules of a configuration.
    private static let most = 64

    /// Whether it is for such a job.
    func takes(_ spec: JobSpec) -> Bool {
        let kind = spec.kind
        return (group == nil || group == spec.group)
            && JobParameters.names(for: kind).contains("launcher") && (kinds.isEmpty || kinds.contains(kind))
    }

    /// Whether text can be the name of a partition, or of several with commas between them.
    static func isPartition(_ text: String) -> Bool {
        (1...256).contains(text.utf8.count)
            && text.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { name in
                !name.isEmpty && !name.hasPrefix("-")
                    && name.utf8.allSatisfy {
                        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                            || [0x2D, 0x2E, 0x5F].contains($0)
                    }
            }
    }
}

extension PlacementRule {
    /// As the configuration has it.
    private struct Entry: Decodable {
        var group: String?
        var kinds: [String]?
        var launcher: Launcher
        var partition: String?
    }

    /// Reads the configuration's list.
    ///
    /// - Parameter place: Names the line of a member, for messages.
    /// - Throws: ``DaemonConfiguration/Fault`` that names the line.
    static func list(
        _ value: JSONValue, place: (String) -> String
    ) throws(DaemonConfiguration.Fault) -> [PlacementRule] {
        let entries: [Entry]
        do { entries = try value.decode([Entry].self) } catch {
            let field = error.field.isEmpty ? "placements" : "placements.\(error.field)"
            throw .init(
                message: "\(place(field)): \(field): \(error.reason)",
                hint:
                    "a rule has launcher: local, mpi or slurm and, if wanted, group: name, kinds: [names] and partition: name"
            )
        }
        guard entries.count <= most else {
            throw .init(
                message: "\(place("placements")): has more than \(most) rules", hint: "join some of them")
        }
        var rules: [PlacementRule] = []
        for (index, entry) in entries.enumerated() {
            let field = "placements.[\(index)]"
            var kinds: Set<JobKind> = []
            for name in entry.kinds ?? [] {
                guard let kind = JobKind(rawValue: name), JobParameters.names(for: kind).contains("launcher")
                else {
                    let known = JobKind.allCases.filter { JobParameters.names(for: $0).contains("launcher") }
                        .map(\.rawValue)
                    let near = ClosestName.suggest(for: name, among: known)
                    throw .init(
                        message:
                            "\(place("\(field).kinds")): \"\(name)\" is no kind of job that can run elsewhere",
                        hint: near.map { "did you mean \"\($0)\"?" }
                            ?? "there are: \(known.joined(separator: ", "))")
                }
                kinds.insert(kind)
            }
            if let partition = entry.partition {
                guard entry.launcher == .slurm, isPartition(partition) else {
                    throw .init(
                        message:
                            "\(place("\(field).partition")): \"\(partition)\" cannot be the partition of the launcher \(entry.launcher.rawValue)",
                        hint: "name one that sinfo lists, with launcher: slurm")
                }
            }
            rules.append(
                PlacementRule(
                    group: entry.group, kinds: kinds, launcher: entry.launcher, partition: entry.partition))
        }
        return rules
    }
}
