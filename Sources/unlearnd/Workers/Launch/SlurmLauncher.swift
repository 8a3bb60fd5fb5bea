// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// Starts workers where Slurm puts them, by `srun`: an allocation for each job, or a step in a standing one. `srun` carries
/// the first rank's standard input and output, so the worker sees what it sees beside the daemon, except descriptors:
/// everything comes by path, in a directory that all nodes have under the same name.
struct SlurmLauncher: LaunchMethod {
    let settings: SlurmSettings
    /// Looks where the starts are.
    let watch: SlurmWatch

    /// Seconds that `srun` has to end what it started, which Slurm kills after 30.
    private static let patience = 40.0

    var canWait: Bool { true }

    var fault: JobFailure? {
        for path in [settings.srun, settings.program("squeue"), settings.program("scancel")]
        where access(path, X_OK) != 0 {
            return JobFailure(
                .unsupported,
                "jobs go to Slurm by its programs, and \(path) cannot be run: \(String(cString: strerror(errno)))",
                hint: "install the package slurm-client, or name srun with the setting srun")
        }
        return nil
    }

    func command(_ worker: String, _ start: LaunchStart, environment: [String: String]) -> LaunchCommand {
        var arguments = [
            "--job-name=\(watch.name(of: start))", "--ntasks=\(start.ranks)",
            "--cpus-per-task=\(start.threads)",
            "--input=0", "--chdir=/", "--kill-on-bad-exit=1", "--wait=10", "--quit-on-interrupt",
        ]
        if let allocation = settings.allocation {
            // Steps share the allocation's memory as they do its processors, by what is free.
            arguments += ["--jobid=\(allocation)", "--exact", "--mem=0"]
        } else {
            arguments.append("--mem-per-cpu=\(Self.mebibytes(start))")
        }
        if let partition = start.partition { arguments.append("--partition=\(partition)") }
        if start.ranks > 1 { arguments.append("--mpi=pmix") }
        arguments += settings.options
        arguments += [worker, start.ranks > 1 ? "ranks" : "forwarded"]
        var environment = environment
        // Each node chooses for itself.
        environment["OPENBLAS_CORETYPE"] = nil
        environment["OMPI_MCA_pml"] = "ob1"
        environment["OMPI_MCA_btl"] = "self,vader,tcp"
        if let path = SlurmSettings.configurationPath { environment["SLURM_CONF"] = path }
        return LaunchCommand(path: settings.srun, arguments: arguments, environment: environment)
    }

    /// What is asked for a processor: more than is expected, because Slurm may kill what exceeds it.
    private static func mebibytes(_ start: LaunchStart) -> Int64 {
        let processors = Int64(max(1, start.ranks * start.threads))
        return (start.memory / 4 * 5 / processors) / (1 << 20) + 256
    }

    func follow(_ start: LaunchStart) async -> AsyncStream<JobPlacement> { await watch.follow(start) }

    func placement(_ start: LaunchStart) async -> JobPlacement? { await watch.last(start)?.placement }

    func end(_ start: LaunchStart, _ process: pid_t) {
        // One that waits gives its place up; one that runs passes it on to its tasks.
        _ = Glibc.kill(process, SIGTERM)
        Task { [watch] in
            await watch.cancel(start)
            try? await Task.sleep(for: .seconds(Self.patience))
            // What Slurm still has of it then, the watch finds.
            _ = Glibc.kill(-process, SIGKILL)
        }
    }

    func failure(_ start: LaunchStart, hasBegun: Bool, errors: [Substring]) async -> JobFailure? {
        // A controller that srun has not reached is not asked.
        let spoken = SlurmEnding(state: nil, errors: errors, hasBegun: hasBegun)
        if case .unreachable? = spoken {
            return spoken?.failure(id: nil, isStanding: settings.allocation != nil)
        }
        let state = await watch.last(start)
        let ending = SlurmEnding(state: state?.state, errors: errors, hasBegun: hasBegun)
        return ending?.failure(id: state?.id, isStanding: settings.allocation != nil)
    }
}
