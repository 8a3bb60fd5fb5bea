// SPDX-License-Identifier: Apache-2.0

import Protocol

/// One key of the ring: that of everything that one job, or one upload, wrote.
///
/// Each file has a key of its own, which is made of this one's seed. When something of what was written has to go for
/// good and something stays, the seed is destroyed and the keys of the files that stay are kept one by one: nothing
/// tells the others any more.
package struct VersionKey: Sendable {
    /// What is left of it.
    enum Form: Sendable {
        /// The keys of all files that were or will be written.
        case seed(SealingKey)
        /// The keys of these files alone, by what tells them apart.
        case files([KeyName: SealingKey])
    }

    package let name: KeyName
    /// When it was made, milliseconds since 1970.
    let created: Int64
    private(set) var form: Form

    /// A new key.
    init(created: Int64) {
        name = KeyName()
        self.created = created
        form = .seed(SealingKey())
    }

    init(name: KeyName, created: Int64, form: Form) {
        (self.name, self.created, self.form) = (name, created, form)
    }

    /// The key of a file; `nil` if it was destroyed.
    func key(of file: SealedFile) -> SealingKey? {
        switch form {
        case .seed(let seed): Self.derive(seed, file)
        case .files(let keys): keys[file.salt]
        }
    }

    private static func derive(_ seed: SealingKey, _ file: SealedFile) -> SealingKey {
        seed.derive(salt: file.salt.bytes, for: Array("unlearnd file 1".utf8) + file.name.bytes)
    }

    /// How many keys went, and how many are kept.
    struct Thinned {
        var seeds = 0
        var files = 0
        var kept = 0
    }

    /// Destroys the keys of all files but these.
    mutating func keep(_ files: [SealedFile]) -> Thinned {
        switch form {
        case .seed(let seed):
            let keys = Dictionary(files.map { ($0.salt, Self.derive(seed, $0)) }) { first, _ in first }
            form = .files(keys)
            return Thinned(seeds: 1, kept: keys.count)
        case .files(let keys):
            let salts = Set(files.map(\.salt))
            let kept = keys.filter { salts.contains($0.key) }
            form = .files(kept)
            return Thinned(files: keys.count - kept.count, kept: kept.count)
        }
    }

    /// Whether it opens nothing.
    var isEmpty: Bool { if case .files(let keys) = form { keys.isEmpty } else { false } }
}
