// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Glibc
import Protocol

/// The life of this process: take the order, do the job, say how it ended.
enum Worker {
    /// Runs the job of the order on standard input; returns the exit status.
    ///
    /// - Parameter inRanks: Whether this is one of the processes of a launcher of MPI.
    static func run(inRanks: Bool = false) -> Int32 {
        let output = MessageWriter.takeStandardOutput()
        guard inRanks else { return run(output, Inbox(), nil) }
        ParentWatch.begin()
        let transport: MPITransport
        do {
            transport = try MPITransport()
        } catch {
            complain(error.message)
            // Without MPI only the launcher knows which rank this is.
            if getenv("OMPI_COMM_WORLD_RANK").map({ String(cString: $0) }) == "0" {
                try? output.send(.failed(error))
            }
            return ExitCode.jobFailed.rawValue
        }
        if transport.rank > 0 { output.fallSilent() }
        return run(output, Inbox(isForwarded: true), transport)
    }

    private static func run(_ output: MessageWriter, _ inbox: Inbox, _ transport: MPITransport?) -> Int32 {
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
            try LifeLock.hold(order.lifeLock)
            if ranks.isFirst { inbox.listen() }
            let context = try JobContext(
                order: order, descriptors: descriptors, output: output, inbox: inbox, ranks: ranks)
            try output.send(.started(environment: context.environmentReport))
            context.log(context.environmentInWords)
            try context.requireLikeRanks()
            if let warning = context.precisionWarning { try output.send(.warning(warning)) }
            var result = try perform(context)
            if ranks.isFirst {
                result.peakMemory = PeakMemory.bytes.map { $0 + context.peakMemoryOfOthers }
                if var figures = result.result?.objectValue, figures["predicted_memory"] != nil {
                    figures["peak_memory"] = result.peakMemory.map { .integer($0) } ?? .null
                    result.result = .object(figures)
                }
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
            let failure = JobFailure(describing: error)
            // If the daemon cannot hear it, it is gone.
            try? output.send(.failed(failure))
            transport?.report(failure)
        }
        transport?.abort()
        return 0
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
