// SPDX-License-Identifier: Apache-2.0

/// Finds what a misspelled name may have meant.
package enum ClosestName {
    /// The candidate with the least edit distance to `name` (Levenshtein 1966), if it is near enough to be a
    /// slip: at most a third of the longer name's characters, and at least one.
    package static func suggest(for name: String, among candidates: [String]) -> String? {
        let name = Array(name.lowercased().utf8.prefix(64))
        var best: (candidate: String, distance: Int)?
        for candidate in candidates {
            let distance = distance(name, Array(candidate.lowercased().utf8))
            let limit = max(1, max(name.count, candidate.utf8.count) / 3)
            if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.candidate
    }

    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var previous = Array(0...right.count)
        for (row, byte) in left.enumerated() {
            var current = [row + 1]
            for column in right.indices {
                let change = previous[column] + (byte == right[column] ? 0 : 1)
                current.append(min(change, previous[column + 1] + 1, current[column] + 1))
            }
            previous = current
        }
        return previous[right.count]
    }
}
