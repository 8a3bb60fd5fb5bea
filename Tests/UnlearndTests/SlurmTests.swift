// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

import unlearnd

/// What is told of Slurm without one; the rest is in ClusterTests.
struct SlurmTests {
    /// Slurm's state of a job, the lines of srun's standard error, whether the worker had begun, and what that means. The lines
    /// are those of Slurm 22.05.
    @Test(
        arguments: [
            ("TIMEOUT", [], true, SlurmEnding.timeLimit),
            (
                nil,
                [
                    "slurmstepd-c1: error: *** STEP 12.0 ON c1 CANCELLED AT 2026-11-30T08:22:51 DUE TO TIME LIMIT ***"
                ],
                true, .timeLimit
            ),
            ("PREEMPTED", ["srun: Force Terminated JobId=5"], true, .preempted),
            (
                nil,
                [
                    "slurmstepd-c1: error: *** STEP 12.0 ON c1 CANCELLED AT 2026-11-30T08:22:51 DUE TO PREEMPTION ***"
                ],
                true, .preempted
            ),
            ("NODE_FAIL", ["srun: error: Node failure on c1"], true, .nodeFailed),
            (nil, ["srun: error: Node failure on c1"], true, .nodeFailed),
            ("OUT_OF_MEMORY", [], true, .outOfMemory),
            (nil, ["slurmstepd: error: Detected 1 oom-kill event(s) in StepId=5.0."], true, .outOfMemory),
            (
                "CANCELLED", ["srun: Job allocation 4 has been revoked", "srun: Force Terminated JobId=4"],
                false,
                .cancelled
            ),
            (
                nil,
                [
                    "srun: Job has been cancelled",
                    "srun: error: Unable to allocate resources: Job/step already completing or completed",
                ], false, .cancelled
            ),
            ("FAILED", ["srun: error: c1: task 1: Killed"], true, nil),
            (nil, ["srun: error: c1: task 1: Killed"], true, nil),
            (
                nil,
                [
                    "srun: error: Unable to allocate resources: Unable to contact slurm controller (connect failure)"
                ],
                false,
                .unreachable(
                    "Unable to allocate resources: Unable to contact slurm controller (connect failure)")
            ),
            (
                nil,
                [
                    "srun: error: invalid partition specified: nope",
                    "srun: error: Unable to allocate resources: Invalid partition name specified",
                ], false,
                .refused(
                    "invalid partition specified: nope | Unable to allocate resources: Invalid partition name specified"
                )
            ),
            (nil, ["srun: error: Slurm job 1 has expired"], false, .unreachable("Slurm job 1 has expired")),
            (nil, [], false, nil),
        ] as [(String?, [Substring], Bool, SlurmEnding?)])
    func `the end of a job is read from its state and from what srun says`(
        state: String?, errors: [Substring], hasBegun: Bool, ending: SlurmEnding?
    ) {
        #expect(SlurmEnding(state: state, errors: errors, hasBegun: hasBegun) == ending)
    }

    @Test(arguments: [
        (
            #"{"kind":"evaluate","model":"m@v1","forget":"F","parameters":{"partition":"large"}}"#,
            "spec.parameters.partition"
        ),
        (
            #"{"kind":"evaluate","model":"m@v1","forget":"F","parameters":{"launcher":"slurm","partition":"--uid=0"}}"#,
            "spec.parameters.partition"
        ),
        (
            #"{"kind":"evaluate","model":"m@v1","forget":"F","parameters":{"launcher":"slurm","partition":"a,,b"}}"#,
            "spec.parameters.partition"
        ),
        (#"{"kind":"import","model":"m","parameters":{"launcher":"slurm"}}"#, "spec.parameters.launcher"),
        (
            #"{"kind":"task-vector","model":"m@v1","parameters":{"launcher":"slurm","transfer":"transfer"}}"#,
            "spec.parameters.launcher"
        ),
        (
            #"{"kind":"finetune","model":"m@v1","forget":"F","parameters":{"launcher":"local","ranks":2}}"#,
            "spec.parameters.launcher"
        ),
    ]) func `places that a job cannot have are refused`(spec: String, field: String) async throws {
        let world = try World()
        let text = spec.replacing("\"F\"", with: "\"\(String(repeating: "0", count: 64))\"")
        let decoded = try StrictJSON.parse(text).decode(JobSpec.self)
        do {
            _ = try await world.control.submit(JobSubmitParams(spec: decoded), peer: World.user)
            Issue.record("the submission was taken")
        } catch {
            #expect(error.kind == .invalidParams && error.field == field, "\(error)")
        }
    }
}
