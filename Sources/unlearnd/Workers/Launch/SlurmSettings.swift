// SPDX-License-Identifier: Apache-2.0

import Glibc

/// How jobs go to Slurm.
package struct SlurmSettings: Hashable, Sendable {
    /// Where Debian's slurm-client puts it.
    package static let standardPath = "/usr/bin/srun"

    /// The path of `srun`; `squeue` and `scancel` lie beside it.
    package var srun = SlurmSettings.standardPath
    /// The job whose allocation all jobs share, as steps; `nil`: each job gets one of its own.
    package var allocation: String?
    /// Jobs that wait in Slurm or run there at the same time.
    package var parallel = 64
    /// Threads of each process, and the processors asked for; `nil`: as for workers beside the daemon.
    package var threads: Int?
    /// Further options of `srun`.
    package var options: [String] = []

    /// The usual settings.
    package init() {}

    /// Where Slurm's programs find their configuration, if that was said in the daemon's environment.
    static var configurationPath: String? { getenv("SLURM_CONF").map { String(cString: $0) } }

    /// The program of that name beside `srun`.
    func program(_ name: String) -> String {
        (srun.lastIndex(of: "/").map { String(srun[...$0]) } ?? "") + name
    }
}
