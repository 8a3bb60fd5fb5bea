// SPDX-License-Identifier: Apache-2.0

/// A directory of the operator's that shows one model's head to serving engines, as the configuration names it.
package struct PublishTarget: Hashable, Sendable {
    package var name: String
    /// Absolute path of a directory that is there.
    package var directory: String
    /// What is run after each switch.
    package var hook: HookCommand?

    /// A target.
    package init(name: String, directory: String, hook: HookCommand? = nil) {
        self.name = name
        self.directory = directory
        self.hook = hook
    }

    /// Whether a text can be a target's name: 1 to 64 letters, digits, `_` or `-`.
    package static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (0x61...0x7A).contains($0 | 0x20) || (0x30...0x39).contains($0) || $0 == 0x5F || $0 == 0x2D
            }
    }
}
