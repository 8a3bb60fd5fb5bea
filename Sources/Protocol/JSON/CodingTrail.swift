// SPDX-License-Identifier: Apache-2.0

/// Where in a value a coder is: the innermost key, and the way to it, which siblings share. It becomes a list only for who
/// asks, which errors do.
final class CodingTrail {
    private let key: any CodingKey
    private let outer: CodingTrail?

    /// A step further in; `nil` is the value itself.
    init(_ outer: CodingTrail?, _ key: any CodingKey) {
        (self.outer, self.key) = (outer, key)
    }

    /// The keys from the outside in.
    static func path(_ trail: CodingTrail?) -> [any CodingKey] {
        var keys: [any CodingKey] = []
        var step = trail
        while let at = step {
            keys.append(at.key)
            step = at.outer
        }
        return keys.reversed()
    }
}
