// SPDX-License-Identifier: Apache-2.0

import Engine
import Glibc

/// The environment that decides which kernels OpenBLAS runs.
enum ProcessEnvironment {
    /// Marks a process that has been started anew, so that it happens once.
    private static let mark = "UNLEARND_WORKER_SETTLED"
    /// What OpenBLAS and the OpenMP runtime read.
    private static let prefixes = ["OPENBLAS_", "GOTO_", "OMP_", "GOMP_", "BLAS_"]

    /// Starts this program anew if the environment would make OpenBLAS choose, block or thread differently than
    /// meant: it reads its variables when it is loaded, before any of our code runs. The bits of a result
    /// must not depend on who started the process.
    static func settle() {
        let wanted = NumericEnvironment.variables(for: .current)
        var kept: [String] = []
        var found: [String: String] = [:]
        var isMarked = false
        for entry in inherited() {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            if name == mark {
                isMarked = true
            } else if prefixes.contains(where: name.hasPrefix) {
                found[name] = parts.count == 2 ? String(parts[1]) : ""
            } else {
                kept.append(entry)
            }
        }
        if found == wanted || isMarked { return }
        kept += wanted.map { "\($0.key)=\($0.value)" } + ["\(mark)=1"]
        let variables: [UnsafeMutablePointer<CChar>?] = kept.map { strdup($0) } + [nil]
        let arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) } + [nil]
        execve("/proc/self/exe", arguments, variables)
        complain("cannot start anew with another environment: \(String(cString: strerror(errno)))")
    }

    private static func inherited() -> [String] {
        var entries: [String] = []
        var next = environ
        while let entry = next.pointee {
            entries.append(String(cString: entry))
            next += 1
        }
        return entries
    }
}
