// SPDX-License-Identifier: Apache-2.0

/// How the processes of one job are started. It decides no bytes: their number does.
package enum Launcher: String, Codable, Sendable, CaseIterable {
    /// One process beside the daemon.
    case local
    /// Several on the daemon's machine, by OpenMPI's `mpirun`.
    case mpi
    /// One or several where Slurm's `srun` puts them.
    case slurm
}
