// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The rules by which each new connection gets its role; a reload may change them. Connections that are open keep theirs.
final class LiveRoles: Sendable {
    private let rules: Mutex<RoleRules>

    init(_ rules: RoleRules) { self.rules = Mutex(rules) }

    var current: RoleRules {
        get { rules.withLock(\.self) }
        set { rules.withLock { $0 = newValue } }
    }
}
