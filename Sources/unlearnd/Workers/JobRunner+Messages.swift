// SPDX-License-Identifier: Apache-2.0

import Logging
import Protocol
import Synchronization

/// What the worker says, and where a cluster has put it, is written down and passed on.
extension JobRunner {
    func handle(_ message: WorkerMessage, _ log: JobLog) async throws {
        let (id, model) = (claim.id, claim.model)
        switch message {
        case .started:
            // The worker's own first line says on which kernels and threads.
            break
        case .log(let level, let message): log.add(level, message)
        case .progress(let progress):
            if progress.phase == "edit" { try await recordEdit() }
            if meter.admits(progress) { hub.publish(progress, job: id, model: model) }
        case .snapshot(let report):
            let data = try JSONValue(encoding: report)
            try await database.change { try $0.record(.snapshot, job: id, model: model, data) }
            FailPoint.afterSnapshot.reach()
            log.add(
                "info", "snapshot of \(report.version), digest \(report.digest.short), is whole and pinned")
            awaitsEdit.withLock { $0 = claim.spec.kind.editsVersion }
            control.proceed()
        case .epoch(let epoch):
            try await recordEdit()
            let losses = [
                ("loss", epoch.loss), ("forget loss", epoch.forgetLoss), ("retain loss", epoch.retainLoss),
            ]
            let words = losses.compactMap { name, loss in loss.map { "\(name) \($0)" } }
            log.add("info", "epoch \(epoch.epoch): \(epoch.steps) steps, \(words.joined(separator: ", "))")
            let data = try JSONValue(encoding: epoch)
            try await database.change { try $0.record(.epoch, job: id, model: model, data) }
        case .checkpoint(let checkpoint):
            let epoch = claim.epoch
            let data = try JSONValue(encoding: checkpoint)
            try await database.change { change in
                try JobRow.keep(checkpoint, of: id, epoch: epoch, in: change)
                try change.record(.checkpoint, job: id, model: model, data)
            }
        case .paused: outcome.withLock { $0 = .paused }
        case .evaluation(let role, let figures):
            let data: JSONValue = ["role": .string(role), "figures": try JSONValue(encoding: figures)]
            try await database.change { try $0.record(.evaluation, job: id, model: model, data) }
        case .warning(let warning):
            let text = String(warning.prefix(8192))
            log.add("warning", text)
            try await database.change {
                try JobRow.warn(id, [text], in: $0)
                try $0.record(.warning, job: id, model: model, ["message": .string(text)])
            }
        case .evidence(let piece): try await keep(piece, log)
        case .finished(var result):
            try await recordEdit()
            result.evidence = evidence.withLock { $0 }
            let whole = result
            outcome.withLock { $0 = .finished(whole) }
        case .failed(let failure): outcome.withLock { $0 = .failed(failure) }
        }
    }

    /// Takes a piece of evidence until the job's end; one that is too large is left out, and that is said.
    func keep(_ piece: EvidencePiece, _ log: JobLog) async throws {
        let fault =
            piece.fault
            ?? evidence.withLock { pieces in
                pieces.removeAll { $0.name == piece.name }
                guard pieces.count < EvidencePiece.mostPieces else {
                    return "the job has \(EvidencePiece.mostPieces) pieces already"
                }
                pieces.append(piece)
                return nil
            }
        guard let fault else { return }
        let text = "the evidence \(piece.name.rawValue.debugDescription.prefix(80)) is not kept: \(fault)"
        try await handle(.warning(text), log)
    }

    /// Writes down where a cluster has put the job, or why it waits there.
    func place(_ placement: JobPlacement, _ log: JobLog) async {
        isPlaced.withLock { $0 = true }
        let place = placement.nodes.map { " on \($0)" } ?? ""
        log.add(
            "info",
            "\(placement.launcher.rawValue) job \(placement.id) is \(placement.state)\(place)"
                + (placement.reason.map { " (\($0))" } ?? ""))
        do {
            try await database.change { [claim] change in
                guard try JobRow.place(placement, of: claim.id, epoch: claim.epoch, in: change) else {
                    return
                }
                try change.record(.placed, job: claim.id, model: claim.model, JSONValue(encoding: placement))
            }
        } catch { logger.error("job \(claim.id): its place cannot be recorded: \(error)") }
    }

    /// Records that the edit begins, the first time that the worker shows it after the snapshot.
    func recordEdit() async throws {
        let isFirst = awaitsEdit.withLock { awaits in
            defer { awaits = false }
            return awaits
        }
        if isFirst {
            try await database.change { try $0.record(.edit, job: self.claim.id, model: self.claim.model) }
        }
    }
}
