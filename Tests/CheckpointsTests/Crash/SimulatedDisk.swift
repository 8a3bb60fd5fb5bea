// SPDX-License-Identifier: Apache-2.0

/// What a disk holds: files and directories by number, names in directories.
struct SimulatedDisk {
    struct Node {
        var isDirectory: Bool
        var bytes: [UInt8] = []
        var entries: [String: Int] = [:]
        var mode: UInt32 = 0o600
    }

    /// One change, by the numbers of the nodes that it touches, so that it can be done without those before it.
    enum Change {
        case name(directory: Int, String, node: Int, isDirectory: Bool)
        case unname(directory: Int, String)
        case rename(directory: Int, String, to: String, node: Int)
        case write(node: Int, at: Int, [UInt8])
        case mode(node: Int, UInt32)

        /// The nodes whose synchronisation makes it durable; none when it is never lost.
        var nodes: [Int] {
            switch self {
            case .name(let directory, _, _, _), .unname(let directory, _),
                .rename(let directory, _, _, _):
                [directory]
            case .write(let node, _, _): [node]
            case .mode: []
            }
        }
    }

    static let root = 0
    private(set) var nodes: [Int: Node] = [root: Node(isDirectory: true)]

    mutating func apply(_ change: Change) {
        switch change {
        case .name(let directory, let name, let node, let isDirectory):
            nodes[node, default: Node(isDirectory: isDirectory)].isDirectory = isDirectory
            nodes[directory, default: Node(isDirectory: true)].entries[name] = node
        case .unname(let directory, let name):
            nodes[directory, default: Node(isDirectory: true)].entries[name] = nil
        case .rename(let directory, let old, let new, let node):
            if nodes[node] == nil { nodes[node] = Node(isDirectory: false) }
            if nodes[directory]?.entries[old] == node { nodes[directory]?.entries[old] = nil }
            nodes[directory, default: Node(isDirectory: true)].entries[new] = node
        case .write(let node, let at, let bytes):
            var file = nodes[node] ?? Node(isDirectory: false)
            // A later write that arrives without an earlier one leaves zeros before it.
            let missing = at + bytes.count - file.bytes.count
            if missing > 0 { file.bytes += [UInt8](repeating: 0, count: missing) }
            file.bytes.replaceSubrange(at..<at + bytes.count, with: bytes)
            nodes[node] = file
        case .mode(let node, let mode): nodes[node]?.mode = mode
        }
    }

    /// The number of the node at an absolute path.
    func node(_ path: some StringProtocol) -> Int? {
        var at = Self.root
        for component in path.split(separator: "/") {
            guard let next = nodes[at]?.entries[String(component)] else { return nil }
            at = next
        }
        return at
    }
}
