// SPDX-License-Identifier: Apache-2.0

/// The names under which the server may be asked. A page of somebody else's whose name was made to lead to this machine
/// (DNS rebinding) asks under its own name, and is not answered.
struct HostRule: Sendable {
    private let names: Set<String>

    /// The machine's own names, and `names`.
    init(names: [String]) {
        self.names = Set(names.map { $0.lowercased() } + ["localhost", "127.0.0.1", "[::1]"])
    }

    /// Whether a request with this `Host` is answered; the port does not matter.
    func allows(_ host: String) -> Bool {
        let lower = host.lowercased()
        if names.contains(lower) { return true }
        guard let colon = lower.lastIndex(of: ":"), lower[lower.index(after: colon)...].allSatisfy(\.isNumber)
        else {
            return false
        }
        return names.contains(String(lower[..<colon]))
    }
}
