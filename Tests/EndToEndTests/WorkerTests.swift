// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// The worker alone, spoken to as the daemon does.
final class WorkerTests {
    private static let config =
        #"{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 64, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}"#
    private let state: String

    init() throws {
        state = NSTemporaryDirectory() + "worker-tests-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: state) }

    private func order(
        _ kind: JobKind, seed: UInt64? = nil, threads: Int = 2, parameters: JobParameters? = nil,
        change: (inout WorkerOrder) -> Void = { _ in }
    ) throws -> [UInt8] {
        var spec = JobSpec(kind: kind, model: VersionReference("m"), parameters: parameters)
        spec.seed = seed
        var order = WorkerOrder(
            job: 7, spec: spec, store: state, lifeLock: state + "/workers.lock", threads: threads)
        change(&order)
        return try JSONValue(encoding: order).serialized()
    }

    /// Makes a model from the configuration.
    private func create(seed: UInt64, threads: Int = 2, config: String = WorkerTests.config) throws -> Result<
        WorkerResult, JobFailure
    > {
        let path = "\(state)/\(UUID().uuidString)"
        try Data(config.utf8).write(to: URL(filePath: path))
        let file = open(path, O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        let order = try order(.create, seed: seed, threads: threads) {
            $0.files = ["config.json"]
            $0.descriptors = 1
        }
        let worker = try WorkerProcess(order, [file])
        let outcome = try worker.outcome()
        #expect(worker.exitStatus() == 0)
        return outcome
    }

    private func binding(_ result: WorkerResult, _ version: Int = 1) throws -> VersionBinding {
        VersionBinding(
            model: try #require(ModelName("m")), version: try #require(VersionNumber("v\(version)")),
            manifest: try #require(result.manifest), digest: try #require(result.digest))
    }

    private func taskVector(
        scale: Double, _ base: WorkerResult, _ finetuned: WorkerResult, note: String? = nil
    ) throws -> [UInt8] {
        var parameters = JobParameters()
        parameters.scale = scale
        parameters.finetuned = VersionReference("m@v2")
        return try order(.taskVector, parameters: parameters) {
            $0.base = try? binding(base)
            $0.finetuned = try? binding(finetuned, 2)
            $0.spec.note = note
        }
    }

    @Test func `a new model is a function of its seed alone`() throws {
        let first = try create(seed: 1).get()
        let second = try create(seed: 1, threads: 1).get()
        #expect(first.digest == second.digest && first.architecture == "GPT2LMHeadModel")
        #expect(try create(seed: 2).get().digest != first.digest)
        let wrong = try create(
            seed: 1, config: #"{"architectures": ["GPT2LMHeadModel"], "n_embd": 16, "n_head": 3}"#)
        guard case .failure(let failure) = wrong else { throw TestFailure("16 channels do not make 3 heads") }
        #expect(failure.kind == .badInput && failure.message.contains("n_embd"))
    }

    @Test func `an edit waits for its snapshot to be recorded`() throws {
        let base = try create(seed: 1).get()
        let finetuned = try create(seed: 2).get()
        let worker = try WorkerProcess(taskVector(scale: 0.5, base, finetuned))
        let snapshot = try worker.wait { if case .snapshot(let report) = $0 { report } else { nil } }
        #expect(
            snapshot.digest == base.digest && snapshot.version.description == "v1"
                && snapshot.bytes == base.bytes)
        try worker.send(.proceed)
        let result = try worker.outcome().get()
        #expect(result.bytes == base.bytes && result.digest != base.digest)
        #expect(result.result?["changed_tensors"]?.integerValue ?? 0 > 0)
        #expect(worker.exitStatus() == 0)
        // The same again, asked for in other words, is the same manifest: nothing in it differs the next time.
        #expect(
            try WorkerProcess(taskVector(scale: 0.5, base, finetuned, note: "again")).outcome().get().manifest
                == result.manifest)
        let other = try WorkerProcess(taskVector(scale: 0.25, base, finetuned)).outcome().get()
        #expect(other.digest != result.digest)
        // The whole difference gives the base's mirror image; taken from itself it is nothing.
        let diff = try order(.diff) {
            $0.base = try? binding(base)
            $0.other = try? binding(result, 3)
        }
        let compared = try WorkerProcess(diff).outcome().get()
        let rows = try #require(compared.result?.arrayValue)
        #expect(rows.contains { $0["changed"] == true && $0["relative_l2"]?.doubleValue ?? 0 > 0 })
    }

    @Test func `an edit that changes nothing fails as no-op`() throws {
        let base = try create(seed: 1).get()
        let outcome = try WorkerProcess(taskVector(scale: 1, base, base)).outcome()
        guard case .failure(let failure) = outcome else { throw TestFailure("nothing was subtracted") }
        #expect(failure.kind == .noOp && failure.hint != nil)
    }

    @Test func `a cancelled worker and one without a daemon exit at once`() throws {
        let base = try create(seed: 1).get()
        let finetuned = try create(seed: 2).get()
        for isCancelled in [true, false] {
            let worker = try WorkerProcess(taskVector(scale: 0.5, base, finetuned))
            _ = try worker.wait { if case .snapshot = $0 { true } else { nil } }
            if isCancelled { try worker.send(.cancel) } else { worker.hangUp() }
            while let message = try worker.next() {
                if case .finished = message { throw TestFailure("the worker went on") }
            }
            #expect(worker.exitStatus() == (isCancelled ? 0 : ExitCode.tryAgain.rawValue))
        }
        let staging = try FileManager.default.contentsOfDirectory(atPath: state + "/staging")
        #expect(staging.isEmpty)
    }

    @Test func `the environment does not choose the kernels`() throws {
        var reports: [NumericEnvironmentReport] = []
        let hostile = ["OPENBLAS_CORETYPE": "Prescott", "OPENBLAS_NUM_THREADS": "7", "OPENBLAS_L2_SIZE": "1"]
        for environment in [[:], hostile] {
            let worker = try WorkerProcess(order(.generate), environment: environment)
            reports.append(try worker.wait { if case .started(let report) = $0 { report } else { nil } })
            guard case .failure(let failure) = try worker.outcome() else {
                throw TestFailure("there is no prompt")
            }
            #expect(failure.kind == .badInput)
        }
        #expect(reports[0] == reports[1] && reports[0].coreType != nil && reports[0].threads == 2)
    }

    @Test func `damage to an object fails the snapshot`() throws {
        let base = try create(seed: 1).get()
        let finetuned = try create(seed: 2).get()
        let objects = state + "/objects"
        let paths = try FileManager.default.subpathsOfDirectory(atPath: objects).map { objects + "/" + $0 }
        // The weights' object is the largest file; which model's it is does not matter.
        let files = try paths.filter { $0.utf8.count > objects.utf8.count + 64 }.map {
            (path: $0, size: try size($0))
        }
        let largest = try #require(files.max { $0.size < $1.size }).path
        chmod(largest, 0o600)
        let file = try #require(FileHandle(forUpdatingAtPath: largest))
        try file.seek(toOffset: UInt64(size(largest)) / 2)
        let read = try file.read(upToCount: 1)
        let byte = try #require(read)
        try file.seek(toOffset: UInt64(size(largest)) / 2)
        try file.write(contentsOf: [byte[0] ^ 1])
        try file.close()
        let outcomes = try [base, finetuned].map { try WorkerProcess(taskVector(scale: 2, $0, $0)).outcome() }
        let kinds = outcomes.map { if case .failure(let failure) = $0 { failure.kind.rawValue } else { "" } }
        // One of the two has the damaged object.
        #expect(kinds.sorted() == ["integrity", "no-op"])
        // What is damaged is put away.
        let verify = try WorkerProcess(
            order(.verify) { $0.manifests = [base, finetuned].compactMap(\.manifest) }
        ).outcome().get()
        #expect(verify.result?["valid"] == false && verify.result?["corrupt"]?.arrayValue?.count == 1)
    }

    private func size(_ path: String) throws -> Int {
        try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    }

    @Test func `what is no order is refused`() throws {
        for text in ["", "{}", "[1]", "{\"job\": 1", "\u{0}"] {
            let worker = try WorkerProcess(Array(text.utf8))
            worker.hangUp()
            #expect(try worker.next() == nil)
            #expect(worker.exitStatus() == ExitCode.usage.rawValue)
        }
        let short = try WorkerProcess(order(.import) { $0.descriptors = 3 })
        #expect(try short.next() == nil)
        #expect(short.exitStatus() == ExitCode.usage.rawValue)
    }
}
