// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Reads which targets the block `publish_targets` of a configuration file names, line by line:
///
/// ```
/// publish_targets:
///   serving:
///     directory: /srv/models/gpt2
///     hook: [/usr/local/bin/reload, --quiet]
/// ```
struct PublishTargetNames {
    /// What a target may say.
    static let members = ["directory", "hook"]

    /// The targets and which members each has.
    private(set) var found: [String: Set<String>] = [:]
    private var current: String?
    private var depth = 0
    private var depthOfMembers = 0

    /// Reads a line of the block, without its number.
    /// - Returns: What is wrong with it; `nil` when nothing is.
    mutating func read(_ line: some StringProtocol) -> String? {
        let indent = line.prefix { $0 == " " }.count
        let text = line.dropFirst(indent)
        guard indent > 0, text.first != "\t" else { return "targets are indented by spaces" }
        // A list's element, or the rest of a list over several lines.
        if text.first == "-", current != nil, depthOfMembers > 0, indent >= depthOfMembers { return nil }
        guard let colon = text.firstIndex(of: ":") else { return "is not of the form \"key: value\"" }
        let key = String(
            text[..<colon].drop { $0 == "\"" }.reversed().drop { $0 == "\"" || $0 == " " }.reversed())
        if depth == 0 { depth = indent }
        if indent == depth {
            guard PublishTarget.isName(key) else {
                return "\"\(key)\": a target's name has 1 to 64 letters, digits, '_' or '-'"
            }
            guard found[key] == nil else { return "the target \"\(key)\" is there twice" }
            found[key] = []
            current = key
            depthOfMembers = 0
            return nil
        }
        guard indent > depth, let current else { return "is indented like nothing above it" }
        if depthOfMembers == 0 { depthOfMembers = indent }
        guard indent == depthOfMembers, Self.members.contains(key) else {
            let near = ClosestName.suggest(for: key, among: Self.members)
            return "\"\(key)\" is no member of a publish target"
                + (near.map { "; did you mean \"\($0)\"?" }
                    ?? "; it has \(Self.members.joined(separator: " and "))")
        }
        guard found[current]?.insert(key).inserted == true else { return "\"\(key)\" is there twice" }
        return nil
    }
}
