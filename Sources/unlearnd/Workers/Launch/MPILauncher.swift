// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// Starts the worker's program several times on this machine, by OpenMPI's `mpirun`: order and commands go to the first
/// rank's standard input, messages come from its standard output, and when one rank dies, `mpirun` ends the others.
package struct MPILauncher: LaunchMethod, Hashable {
    /// Where Debian's openmpi-bin puts it.
    package static let standardPath = "/usr/bin/mpirun"

    /// The path of `mpirun`.
    var path: String

    /// Why ranks cannot be started here; `nil` if they can.
    var fault: JobFailure? {
        guard access(path, X_OK) != 0 else { return nil }
        return JobFailure(
            .unsupported,
            "several ranks are started by OpenMPI's mpirun, and \(path) cannot be run: \(String(cString: strerror(errno)))",
            hint: "install the package openmpi-bin, or name mpirun with the setting mpirun")
    }

    /// Shared memory carries the bytes, no other machine is looked for, and threads run wherever the kernel wants them.
    /// mpirun refuses to run as root unless told twice.
    func command(_ worker: String, _ start: LaunchStart, environment: [String: String]) -> LaunchCommand {
        let root = ["OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"]
        return LaunchCommand(
            path: path,
            arguments: [
                "-n", "\(start.ranks)", "--bind-to", "none", "--oversubscribe", "--mca", "plm", "isolated",
                "--mca",
                "pml", "ob1", "--mca", "btl", "self,vader", worker, "ranks",
            ], environment: geteuid() == 0 ? environment.merging(root) { $1 } : environment)
    }
}
