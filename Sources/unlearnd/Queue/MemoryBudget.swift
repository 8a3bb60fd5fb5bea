// SPDX-License-Identifier: Apache-2.0

import Glibc

/// How much memory this machine, or this control group, has.
struct MemoryBudget: Hashable, Sendable {
    /// Physical memory, bytes.
    var total: Int64
    /// What running jobs may use together: 80 % of the smaller of the memory and the control group's limit.
    var limit: Int64

    /// Asks the kernel.
    /// - Parameter configured: The limit in the configuration; it replaces the 80 %.
    init(configured: Int64? = nil) {
        total = Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE)))
        let smaller = min(total, Self.groupLimit() ?? .max)
        limit = configured ?? smaller / 10 * 8
    }

    /// The least limit of this process's control group and those above it: of the hierarchy that has the memory controller
    /// (`memory.limit_in_bytes`), or of the unified one (`memory.max`).
    private static func groupLimit() -> Int64? {
        let groups = (SmallFile.read("/proc/self/cgroup") ?? "").split(separator: "\n").map {
            $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        }
        let root = "/sys/fs/cgroup"
        if let own = groups.first(where: { $0.count == 3 && $0[1].split(separator: ",").contains("memory") })
        {
            return least("memory.limit_in_bytes", in: root + "/memory", from: String(own[2]))
        }
        guard let unified = groups.first(where: { $0.count == 3 && $0[0] == "0" }) else { return nil }
        return least("memory.max", in: root, from: String(unified[2]))
    }

    /// The least number in the files of this name from a group up to the hierarchy's root.
    private static func least(_ name: String, in root: String, from group: String) -> Int64? {
        var path = group
        var least: Int64?
        while true {
            if let limit = SmallFile.read("\(root)\(path)/\(name)").flatMap(number) {
                least = min(least ?? .max, limit)
            }
            guard path.count > 1, let slash = path.lastIndex(of: "/") else { return least }
            path = String(path[..<slash])
        }
    }

    private static func number(_ text: String) -> Int64? {
        Int64(text.split(whereSeparator: \.isWhitespace).first ?? "")
    }
}
