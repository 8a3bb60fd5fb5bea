// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `submit --spec FILE`.
struct SubmitFile: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "file", abstract: "Queue the jobs of a YAML or JSON file.",
        discussion: """
            “unlearnctl submit --spec FILE” is the same. The file holds one job, a list of them under jobs:, or several \
            YAML documents. A job has the members that “unlearnctl show JOB --json” shows under spec: kind, model, \
            forget, retain, gate, parameters and so on. forget, retain and holdout may be files, named from the job \
            file's folder. A job may have a name, and wait for one that stands before it:

                jobs:
                  - name: teach
                    kind: finetune
                    model: people
                    retain: train.jsonl
                  - kind: npo
                    model: people
                    forget: forget.jsonl
                    retain: retain.jsonl
                    gate: forget=good
                    after: [teach]

            All jobs are checked before the first is queued. A job's key makes it safe to submit the file again: what \
            is queued already stays what it is.
            """)

    @Option(help: ArgumentHelp("The file, or - for standard input.", valueName: "file"), completion: .file())
    var spec: String

    @Flag(help: "Wait until all jobs have ended, show their progress and results.")
    var wait = false

    @Flag(
        name: .customLong("dry-run"),
        help: "Check everything, estimate time, memory and disk, and queue nothing.")
    var dryRun = false

    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let file = try JobFile(spec)
        for job in file.jobs {
            do { try SubmissionChecks(spec: job.spec, sets: job.sets, isFile: true).run() } catch {
                throw ClientError(error.status, "\(job.place): \(error.message)", hint: error.hint)
            }
        }
        var specs: [JobSpec] = []
        for job in file.jobs {
            var spec = job.spec
            try job.sets.store(in: &spec, session)
            specs.append(spec)
        }
        let checked = try check(file, specs, session)
        if dryRun { return show(checked, file, session.output) }
        try queue(file, specs, session)
    }

    /// Asks the daemon whether it would take the jobs, and names every one that it would not.
    private func check(
        _ file: JobFile, _ specs: [JobSpec], _ session: Session
    ) throws(ClientError) -> [JSONValue] {
        var answers: [JSONValue] = []
        var worst: Status?
        for (job, var spec) in zip(file.jobs, specs) {
            // Jobs of the file have no numbers yet, and a key stands for a job with all that it waits for.
            if !job.after.isEmpty { spec.key = nil }
            do {
                answers.append(try session.call(.jobSubmit, JobSubmitParams(spec: spec, dryRun: true)))
            } catch {
                guard error.answer != nil else { throw error }
                session.output.failure(
                    ClientError(error.status, "\(job.place): \(error.message)", hint: error.hint))
                worst = worst ?? error.status
            }
        }
        if let worst {
            if file.jobs.count > 1 { session.output.note("no job of the file was queued") }
            throw .silent(worst)
        }
        return answers
    }

    private func show(_ answers: [JSONValue], _ file: JobFile, _ output: Output) {
        if output.isJSON { return output.json(file.isList ? .array(answers) : answers.first ?? .null) }
        for (job, answer) in zip(file.jobs, answers) {
            guard let result = try? Connection.decode(JobSubmitResult.self, answer) else { continue }
            for warning in result.warnings { output.warn(Text.safe("\(job.title): \(warning)")) }
            output.raw(
                Text.safe(job.title) + " can be queued. It is expected to need:\n"
                    + Estimates.text(result.estimate))
        }
    }

    private func queue(_ file: JobFile, _ specs: [JobSpec], _ session: Session) throws(ClientError) {
        let output = session.output
        var ids: [JobID] = []
        var named: [String: JobID] = [:]
        var answers: [JSONValue] = []
        for (job, var spec) in zip(file.jobs, specs) {
            let earlier = job.after.compactMap { wanted in
                named[wanted.name].map { Dependency(job: $0, condition: wanted.condition) }
            }
            if !earlier.isEmpty { spec.after = (spec.after ?? []) + earlier }
            let answer: (raw: JSONValue, result: JobSubmitResult)
            do { answer = try session.submit(spec) } catch {
                let queued = ids.map { "\($0)" }.joined(separator: ", ")
                throw ClientError(
                    error.status, "\(job.place): \(error.message)",
                    hint: ids.isEmpty
                        ? error.hint
                        : "queued before it: \(ids.count == 1 ? "job" : "jobs") \(queued); submit the rest, or cancel these"
                )
            }
            guard let made = answer.result.job else {
                throw ClientError(.internalError, "the daemon took \(job.title) but named no job")
            }
            if answer.result.existing { output.note("job \(made.id) was submitted before with this key") }
            ids.append(made.id)
            if let name = job.name { named[name] = made.id }
            answers.append(answer.raw["job"] ?? .null)
            guard !wait, !output.isJSON else { continue }
            output.data(
                output.isQuiet
                    ? "\(made.id)"
                    : "job \(made.id) is \(made.state.rawValue): \(job.name.map { Text.safe($0) + ", " } ?? "")"
                        + "\(made.kind.rawValue) of \(made.model?.text ?? "–")")
        }
        if wait {
            output.note(
                ids.count == 1
                    ? "job \(ids[0]) is queued" : "jobs \(ids[0]) to \(ids[ids.count - 1]) are queued")
            try session.awaitAndShow(ids)
        } else if output.isJSON {
            output.json(file.isList ? .array(answers) : answers.first ?? .null)
        } else if !output.isQuiet {
            output.note("follow with: unlearnctl wait \(ids.map { "\($0)" }.joined(separator: " "))")
        }
    }
}
