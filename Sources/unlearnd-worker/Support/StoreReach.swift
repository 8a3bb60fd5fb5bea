// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// Whether a worker on another machine sees the daemon's state directory.
enum StoreReach {
    /// Why it cannot work here now; `nil` if it can. An empty directory, in which something is to be mounted, must not be
    /// taken for a store.
    static func fault(_ order: WorkerOrder) -> JobFailure? {
        guard access(order.store + "/FORMAT", R_OK) != 0 else { return nil }
        let reason = String(cString: strerror(errno))
        var name = [CChar](repeating: 0, count: 256)
        let node =
            gethostname(&name, name.count - 1) == 0
            ? String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            : "this node"
        return JobFailure(
            .unreachable, "\(order.store) cannot be read on \(node): \(reason)",
            hint: "mount the state directory there under the same path; the job waits and tries again")
    }
}
