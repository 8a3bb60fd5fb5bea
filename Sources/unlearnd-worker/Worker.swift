// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Glibc
import Protocol

/// The life of this process: take the order, do the job, say how it ended.
enum Worker {
    /// Where a worker may be, if not beside the daemon.
    enum Place: String {
        /// It is one of the processes of a launcher of MPI.
        case ranks
        /// It is the only process of a launcher that passes on what it reads and says.
        case forwarded
    }

    /// Runs the job of the order on standard input; returns the exit status.
    static func run(_ place: Place?) -> Int32 {
        let output = MessageWriter.takeStandardOutput()
        guard let place else { return run(output, Inbox(), nil, isRemote: false) }
        ParentWatch.begin()
        if place == .forwarded { return run(output, Inbox(isForwarded: true), nil, isRemote: true) }
        let transport: MPITransport
        do {
            transport = try MPITransport()
        } catch {
            complain(error.message)
            // Without MPI only the launcher knows which rank this is.
            let rank = getenv("OMPI_COMM_WORLD_RANK") ?? getenv("PMIX_RANK")
            if rank.map({ String(cString: $0) }) == "0" {
                try? output.send(.failed(error))
            }
            return ExitCode.jobFailed.rawValue
        }
        if transport.rank > 0 { output.fallSilent() }
        return run(output, Inbox(isForwarded: true), transport, isRemote: true)
    }

    private static func run(
        _ output: MessageWriter, _ inbox: Inbox, _ transport: MPITransport?, isRemote: Bool
    ) -> Int32 {
        let ranks = transport.map { Ranks($0) } ?? .alone
        let order: WorkerOrder
        let descriptors: [Int32]
        do {
            if ranks.isFirst {
                (order, descriptors) = try inbox.readOrder()
                if transport != nil { _ = try ranks.fromFirst(JSONValue(encoding: order).serialized()) }
            } else {
                order = try StrictJSON.parse(try ranks.fromFirst([])).decode(
                    WorkerOrder.self, allowUnknown: true)
                descriptors = []
            }
        } catch {
            complain("no order can be read from standard input: \(JobFailure(describing: error).message)")
            transport?.abort()
            return ExitCode.usage.rawValue
        }
        do {
            if isRemote, let fault = StoreReach.fault(order) { throw fault }
            try LifeLock.hold(order.lifeLock)
            if ranks.isFirst {
                inbox.listen { line in
                    do { try transport?.announce(line) } catch { complain("\(error)") }
                }
            } else if order.keys != nil {
                transport?.listen { inbox.take(keys: $0) }
            }
            let context = try JobContext(
                order: order, descriptors: descriptors, output: output, inbox: inbox, ranks: ranks)
            try output.send(.started(environment: context.environmentReport))
            context.log(context.environmentInWords)
            try context.requireLikeRanks()
            if let warning = context.precisionWarning { try output.send(.warning(warning)) }
            var result = try perform(context)
            if !ranks.isAlone {
                let peaks = try ranks.gather(Double(PeakMemory.bytes ?? 0))
                context.peakMemoryOfOthers = Int64(peaks.dropFirst().reduce(0, +))
            }
            if ranks.isFirst {
                takeDownMemory(&result, context)
                result.add(context.profiles)
                try hand(over: context, result)
                try output.send(.finished(result))
            }
            try transport?.finish()
            return 0
        } catch is Cancelled {
        } catch is Paused {
            try? output.send(.paused)
        } catch {
            // What fails because the directory went away says little of itself.
            let failure = (isRemote ? StoreReach.fault(order) : nil) ?? JobFailure(describing: error)
            // If the daemon cannot hear it, it is gone.
            try? output.send(.failed(failure))
            transport?.report(failure)
        }
        transport?.abort()
        return 0
    }

    /// What the job held at most, beside what it was predicted to hold.
    private static func takeDownMemory(_ result: inout WorkerResult, _ context: JobContext) {
        result.peakMemory = PeakMemory.bytes.map { $0 + context.peakMemoryOfOthers }
        guard let predicted = context.predictedMemory, let peak = result.peakMemory else { return }
        context.log("memory peaked at \(peak >> 20) MiB; \(predicted >> 20) MiB were predicted")
        // What is generated is all of that result.
        guard context.spec.kind != .generate, var figures = (result.result ?? [:]).objectValue else { return }
        figures["predicted_memory"] = .integer(predicted)
        figures["peak_memory"] = .integer(peak)
        result.result = .object(figures)
    }

    /// Sends the evidence, with what the arithmetic ran on where there was any.
    private static func hand(over context: JobContext, _ result: WorkerResult) throws {
        if let manifest = result.manifest, context.spec.kind.editsVersion, context.spec.evaluate != false {
            try DiffSummary.add(
                try context.reader(context.order.base, "base"),
                try CheckpointReader(store: context.store, manifestID: manifest, cachedObjects: 2), context)
        }
        if context.spec.kind.editsVersion || context.spec.kind == .evaluate {
            context.evidence.add(.environment, try JSONValue(encoding: context.environmentReport))
            if let peak = result.peakMemory {
                context.evidence.add(.environment, ["peak_memory": .integer(peak)])
            }
            if let predicted = context.predictedMemory {
                context.evidence.add(.environment, ["predicted_memory": .integer(predicted)])
            }
        }
        for piece in context.evidence.pieces {
            if let fault = piece.fault {
                try context.send(.warning("the evidence \(piece.name.rawValue) is not kept: \(fault)"))
            } else {
                try context.send(.evidence(piece))
            }
        }
    }

    private static func perform(_ context: JobContext) throws -> WorkerResult {
        switch context.order.spec.kind {
        case .import: try ImportJob(context).run()
        case .export, .publish: try ExportJob(context).run()
        case .create: try CreateJob(context).run()
        case .taskVector: try TaskVectorJob(context).run()
        case .ablate: try AblateJob(context).run()
        case .dampen: try DampenJob(context).run()
        case .update where context.spec.editsFacts: try FactEditJob(context).run()
        case .finetune: try FinetuneJob(context).run()
        case .retrain: try RetrainJob(context).run()
        case .exact: try ExactJob(context).run()
        case .evaluate: try EvaluateJob(context).run()
        case .attack: try AttackJob(context).run()
        case .generate: try GenerateJob(context).run()
        case .tokenize: try TokenizeJob(context).run()
        case .diff: try DiffJob(context).run()
        case .verify: try VerifyJob(context).run()
        case .backup: try BackupJob(context).run()
        case .restore: try HealJob(context).run()
        case .optimize: try OptimizeJob(context).run()
        case .ascent, .graddiff, .npo, .simnpo, .dpo, .idk, .altpo, .rmu, .undial, .wga, .satimp, .ceu, .pdu,
            .update:
            try GradientJob(context).run()
        }
    }
}

/// Writes a line to standard error, which the daemon keeps for jobs that die.
func complain(_ text: String) {
    let line = Array("unlearnd-worker: \(text)\n".utf8)
    _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
}
