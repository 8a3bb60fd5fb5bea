// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// The options that every submitted job has.
struct SubmitOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The model: its head when the job starts, or a fixed version.", valueName: "model[@vN]"),
        completion: LiveCompletion.versions, transform: Arguments.version)
    var model: VersionReference?

    @Option(
        help: ArgumentHelp(
            "What to forget: JSON lines, a dataset's id, or - for standard input.", valueName: "file"))
    var forget: String?

    @Option(help: ArgumentHelp("What to keep.", valueName: "file"))
    var retain: String?

    @Option(
        help: ArgumentHelp(
            "Comparable text that the model never saw, for membership inference.", valueName: "file"))
    var holdout: String?

    @Option(
        help: ArgumentHelp(
            "A further set to measure on, such as general knowledge. May be repeated.",
            valueName: "[name=]file"))
    var utility: [UtilityArgument] = []

    @Option(
        help: ArgumentHelp(
            "Run a benchmark from its own files: the sets and metrics that are not given are its.",
            valueName: "tofu|muse"))
    var preset: BenchmarkPreset?

    @Option(
        name: .customLong("preset-data"),
        help: ArgumentHelp("The directory of the benchmark's files.", valueName: "directory"))
    var presetData: String?

    @Option(help: ArgumentHelp("TOFU's forget split (default forget10).", valueName: "name"))
    var split: String?

    @Option(
        help: ArgumentHelp(
            "A version trained without the forgotten data, measured beside the result.",
            valueName: "model[@vN]"), completion: LiveCompletion.versions, transform: Arguments.version)
    var reference: VersionReference?

    @Option(
        help: ArgumentHelp(
            "Conditions for the result to become head, such as forget=good,privacy=minimal,retain>=0.9; a wrong name lists them all.",
            valueName: "conditions"))
    var gate: String?

    @Option(
        help: ArgumentHelp(
            "Why it is to be forgotten: chooses metrics, attacks and gate where they are not given, and how the report speaks of it.",
            valueName: "privacy|copyright|safety|update"))
    var need: Need?

    @Option(
        name: .customLong("review-lease"),
        help: ArgumentHelp(
            "How long later jobs on the model measure this forget set again: 90d, 12h; 0 for not at all (default: the daemon's, 30d).",
            valueName: "duration"))
    var reviewLease: Seconds?

    @Option(
        help: ArgumentHelp(
            "Try each of these values: learning-rate=1e-5,2e-5. Given again, every combination is a job, 64 at most.",
            valueName: "parameter=values"), transform: Arguments.axis)
    var sweep: [SweepAxis] = []

    @Option(
        help: ArgumentHelp(
            "Try to bring back what was forgotten: relearn, quantize, prompt or probe. May be repeated.",
            valueName: "attack"))
    var attack: [AttackKind] = []

    @Flag(name: .customLong("no-evaluate"), help: "Do not measure before and after.")
    var noEvaluate = false

    @Option(help: ArgumentHelp("Seed of data order and random numbers.", valueName: "number"))
    var seed: UInt64?

    @Flag(help: "Wait until the job has ended, show its progress and its result.")
    var wait = false

    @Option(
        help: ArgumentHelp(
            "Run after another job: ID, ID:ok, ID:any or ID:notok. May be repeated.", valueName: "job"),
        transform: Arguments.dependency)
    var after: [Dependency] = []

    @Option(
        help: ArgumentHelp("Start no earlier: 2026-01-31T12:00:00Z, or +2h.", valueName: "time"),
        transform: Arguments.time)
    var at: Timestamp?

    @Option(
        help: ArgumentHelp(
            "When it should have ended, 2026-01-31T12:00:00Z or +3d: warns before, and when it is missed; the job goes on.",
            valueName: "time"), transform: Arguments.time)
    var deadline: Timestamp?

    @Option(
        help: ArgumentHelp(
            "Try it again so often, 0 to 10, when the worker died, the disk was full or a target was out of reach; each wait is twice as long (default 0).",
            valueName: "number"))
    var retries: Int?

    @Option(
        help: ArgumentHelp(
            "A group of the daemon's configuration, of whose jobs so many run at a time.", valueName: "name"))
    var group: String?

    @Flag(help: "Hold the job until “unlearnctl release”.")
    var hold = false

    @Option(help: ArgumentHelp("−100 to 100; higher runs first.", valueName: "number"))
    var priority: Int?

    @Option(
        help: ArgumentHelp(
            "Idempotency key: the same key and job again finds the first one.", valueName: "text"))
    var key: String?

    @Option(
        help: ArgumentHelp("A label, key=value. May be repeated.", valueName: "label"),
        transform: Arguments.label)
    var label: [Label] = []

    @Option(
        help: ArgumentHelp("Free text kept with the job, such as the number of a request.", valueName: "text")
    )
    var note: String?

    @Option(
        help: ArgumentHelp(
            "Take the job from a YAML or JSON file, or - for standard input; options given beside it win.",
            valueName: "file"))
    var spec: String?

    @Flag(
        name: .customLong("dry-run"),
        help: "Check everything, estimate time, memory and disk, and queue nothing.")
    var dryRun = false
}
