// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Why something that was started by `srun` is gone: by Slurm's state of the job, or, for a step and while the controller
/// does not answer, by what `srun` has said.
package enum SlurmEnding: Hashable, Sendable {
    case timeLimit, preempted, nodeFailed, outOfMemory, cancelled
    /// The controller does not answer, or the standing allocation is not there.
    case unreachable(String)
    /// Slurm does not take it, for the reason given.
    case refused(String)

    /// What `srun` says while the controller is away.
    private static let absences = [
        "Unable to contact slurm controller", "Socket timed out", "Zero Bytes were transmitted",
        "Connection refused", "Unable to confirm allocation", "Invalid job id specified", "has expired",
        "Job/step already completing or completed", "Required node not available", "Slurm backup controller",
        "Invalid job credential", "Protocol authentication error", "Munge encode failed",
    ]

    /// Reads the signs; `nil` where they do not tell.
    /// - Parameter hasBegun: Whether the worker had said anything.
    package init?(state: String?, errors: [Substring], hasBegun: Bool) {
        func says(_ text: String) -> Bool { errors.contains { $0.contains(text) } }
        switch state {
        case "TIMEOUT", "DEADLINE": self = .timeLimit
        case "PREEMPTED", "REQUEUED", "REVOKED": self = .preempted
        case "NODE_FAIL", "BOOT_FAIL": self = .nodeFailed
        case "OUT_OF_MEMORY": self = .outOfMemory
        case _ where says("DUE TO TIME LIMIT"): self = .timeLimit
        case _ where says("DUE TO PREEMPTION") || says("DUE TO JOB REQUEUE"): self = .preempted
        case _ where says("DUE TO NODE FAILURE") || says("Node failure on"): self = .nodeFailed
        case _ where says("oom-kill"): self = .outOfMemory
        case "CANCELLED": self = .cancelled
        default:
            let words = errors.filter { $0.hasPrefix("srun: error") }.suffix(3).map {
                $0.replacing("srun: error: ", with: "")
            }.joined(separator: " | ")
            guard !hasBegun else { return nil }
            // Of one that waits srun says nothing else that tells it from a controller that is busy.
            if says("Job has been cancelled") || says("Job allocation") && says("revoked") {
                self = .cancelled
            } else if Self.absences.contains(where: says) {
                self = .unreachable(words)
            } else if state == nil, !words.isEmpty {
                self = .refused(words)
            } else {
                return nil
            }
        }
    }

    /// The same as a job's failure.
    /// - Parameters:
    ///   - id: Slurm's number of the job.
    ///   - isStanding: Whether it ran in an allocation that it shares.
    package func failure(id: String?, isStanding: Bool) -> JobFailure {
        let job = id.map { "Slurm job \($0)" } ?? "the Slurm job"
        switch self {
        case .timeLimit:
            return JobFailure(
                .timeLimit, "\(job) has reached its time limit",
                hint: isStanding
                    ? "give the standing allocation more time"
                    : "give it more with --time in slurm_options or another --partition; jobs that train go on from their training checkpoints"
            )
        case .preempted:
            return JobFailure(
                .preempted, "\(job) had to give its nodes back",
                hint: "it waits for others, nothing is to be done")
        case .nodeFailed:
            return JobFailure(.nodeFailed, "a node of \(job) went down", hint: "sinfo -R says why")
        case .outOfMemory:
            return JobFailure(
                .workerDied, "\(job) took more memory than it had asked for",
                hint: "lower --batch-size or --max-length, or raise --mem-per-cpu in slurm_options")
        case .cancelled:
            return JobFailure(
                .cluster, "\(job) was cancelled in Slurm, not by unlearnctl cancel", hint: "retry the job")
        case .unreachable(let words):
            return JobFailure(
                .unreachable, "Slurm cannot be reached: \(words)",
                hint: "the job waits and tries again; scontrol ping tells whether the controller is up")
        case .refused(let words):
            return JobFailure(
                .cluster, "Slurm does not run the job: \(words)",
                hint: "look at --partition, --ranks, slurm_threads and slurm_options")
        }
    }
}
