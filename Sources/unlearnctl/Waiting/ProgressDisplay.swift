// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// Shows what the awaited jobs do: redrawn in place on a terminal, a line for each change elsewhere.
final class ProgressDisplay {
    private let output: Output
    private let jobs: [JobID]
    private let writesLines: Bool
    private var current: [JobID: String] = [:]
    private var phases: [JobID: String] = [:]
    private var states: [JobID: String] = [:]
    private var epochs: [JobID: Int] = [:]

    /// A display of `jobs`.
    /// - Parameter writesLines: Whether changes are told in lines where nothing can be drawn in place.
    init(_ output: Output, _ jobs: [JobID], writesLines: Bool) {
        self.output = output
        self.writesLines = writesLines && !output.drawsProgress
        self.jobs = jobs
    }

    /// A job's state, and why it waits.
    func state(_ job: JobID, _ state: String, _ reason: String?) {
        let text = reason.map { "\(state) (\($0))" } ?? state
        guard states[job] != text else { return }
        states[job] = text
        if state == "running" { epochs[job] = nil }
        current[job] = Text.safe(text)
        if writesLines { output.note("\(title(job))\(Text.safe(text))") }
        draw()
    }

    /// The latest report of a running job.
    func progress(_ job: JobID, _ progress: JobProgress) {
        current[job] = ProgressText.line(progress)
        if phases[job] != progress.phase {
            phases[job] = progress.phase
            if writesLines {
                let total = progress.total.map { _ in ": \(ProgressText.amount(progress))" } ?? ""
                output.note(title(job) + Text.safe(progress.phase + total))
            }
        }
        draw()
    }

    /// An epoch that ended; each is shown once.
    func epoch(_ job: JobID, _ epoch: TrainingEpoch) {
        guard epoch.epoch > epochs[job] ?? 0 else { return }
        epochs[job] = epoch.epoch
        output.note(title(job) + ProgressText.epoch(epoch))
    }

    /// Something worth a line of its own.
    func note(_ job: JobID, _ text: String) { output.note(title(job) + Text.safe(text)) }

    /// Takes a job's line away.
    func end(_ job: JobID) {
        current[job] = nil
        draw()
    }

    /// Takes the drawing away.
    func clear() { output.progress("") }

    private func draw() {
        guard output.drawsProgress else { return }
        guard let job = jobs.first(where: { current[$0] != nil }), let text = current[job] else {
            output.progress("")
            return
        }
        let others = current.count > 1 ? "  (+\(current.count - 1))" : ""
        output.progress((jobs.count > 1 ? "job \(job)  " : "") + text + others)
    }

    private func title(_ job: JobID) -> String { "job \(job): " }
}
