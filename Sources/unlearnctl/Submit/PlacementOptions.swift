// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// Where a job runs.
struct PlacementOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "How the job's processes are started: local, one beside the daemon; mpi, several on its machine by mpirun; slurm, where Slurm puts them (default: as the daemon's placements say, else local, or mpi with --ranks).",
            valueName: "local|mpi|slurm"))
    var launcher: Launcher?

    @Option(
        help: ArgumentHelp(
            "The Slurm partition, or several with commas between them (default: that of the daemon's placements, else Slurm's).",
            valueName: "name"))
    var partition: String?

    /// Sets what was given.
    func apply(to parameters: inout JobParameters) {
        if let launcher { parameters.launcher = launcher }
        if let partition { parameters.partition = partition }
    }
}
