// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// Where a job runs.
struct PlacementOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Processes that do the job together (default 1): each trains on a share of every batch's rows, measures a share of the rows and writes a share of the weights. Figures and edits are the same for any number; training gives the same bytes for the same number, and differs by rounding for others.",
            valueName: "number"))
    var ranks: Int?

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
        if let ranks { parameters.ranks = ranks }
        if let launcher { parameters.launcher = launcher }
        if let partition { parameters.partition = partition }
    }
}
