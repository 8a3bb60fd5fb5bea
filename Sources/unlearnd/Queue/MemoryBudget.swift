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

    /// The least limit of this process's control group and those above it (cgroup v2 `memory.max`).
    private static func groupLimit() -> Int64? {
        let root = "/sys/fs/cgroup"
        guard
            let line = SmallFile.read("/proc/self/cgroup")?.split(separator: "\n").first(where: {
                $0.hasPrefix("0::")
            })
        else { return SmallFile.read("\(root)/memory/memory.limit_in_bytes").flatMap(number) }
        var path = String(line.dropFirst(3))
        var least: Int64?
        while true {
            if let limit = SmallFile.read("\(root)\(path)/memory.max").flatMap(number) {
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
