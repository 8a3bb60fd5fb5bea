// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Every way to start workers that this daemon has.
struct LaunchMethods: Sendable {
    var mpi: MPILauncher
    var slurm: SlurmLauncher

    /// The way that a job asks for.
    func method(_ launcher: Launcher) -> any LaunchMethod {
        switch launcher {
        case .local: LocalLauncher()
        case .mpi: mpi
        case .slurm: slurm
        }
    }
}
