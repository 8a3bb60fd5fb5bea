// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What the kernel counted of this process.
enum PeakMemory {
    /// The highest resident size so far, bytes (`VmHWM`).
    static var bytes: Int64? { field("VmHWM:", in: "/proc/self/status") }

    /// Memory of this machine, bytes.
    static var installed: Int64? { field("MemTotal:", in: "/proc/meminfo") }

    private static func field(_ key: String, in path: String) -> Int64? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            guard text.hasPrefix(key) else { continue }
            return text.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\n" }).dropFirst().first
                .flatMap { Int64($0) }.map { $0 << 10 }
        }
        return nil
    }
}
