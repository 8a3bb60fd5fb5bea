// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import Logging
import Protocol

import unlearnd

/// A directory that lives as long as the test that made it.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "unlearnd-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, _ name: String, mode: Int = 0o600) throws -> String {
        let target = path + "/" + name
        try Data(text.utf8).write(to: URL(fileURLWithPath: target))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: target)
        return target
    }
}

/// Transfers whose one file is an empty one; what is in it the scripted worker does not read.
struct EmptyTransfers: TransferSource {
    let directory: TemporaryDirectory

    func take(_ transfer: String, peer: Peer) async throws(RPCError) -> (
        files: [String], descriptors: [Int32]
    ) {
        guard transfer == "transfer" else { throw RPCError(.notFound, "there is no transfer \(transfer)") }
        return (["config.json"], [open("/dev/null", O_RDONLY | O_CLOEXEC)])
    }
}

/// A control plane on a directory of its own, whose worker is a script that does what a job's note says.
///
/// The script is a real process that speaks the worker's side of the protocol; the versions that it hands over
/// are really in the store.
final class World: Sendable {
    static let user = Peer(uid: 1000, gid: 1000, pid: 1, role: .operator_)

    let directory: TemporaryDirectory
    let control: ControlPlane
    /// Manifest and digest of three different checkpoints, by name.
    let versions: [String: (manifest: Digest, digest: Digest)]

    init(
        parallel: Int = 2, interactive: Int = 4, memoryLimit: Int64? = 64 << 30, grace: Double = 5,
        candidates: CandidateRules = CandidateRules(), userJobs: Int? = nil,
        preEditDays: Double? = nil, directory: TemporaryDirectory? = nil,
        configure: (inout ControlConfiguration) -> Void = { _ in }
    ) throws {
        let directory = try directory ?? TemporaryDirectory()
        self.directory = directory
        let state = directory.path + "/state"
        try FileManager.default.createDirectory(
            atPath: state, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let store = try ObjectStore(root: state)
        var versions: [String: (Digest, Digest)] = [:]
        for (index, name) in ["a", "b", "c"].enumerated() {
            versions[name] = try Self.checkpoint(Float(index + 1), in: store, directory)
        }
        self.versions = versions
        let worker = try directory.write(
            Self.script(versions, signal: directory.path + "/go"), "worker", mode: 0o700)
        var configuration = ControlConfiguration(
            stateDirectory: state, workerPath: worker, parallel: parallel, interactive: interactive,
            memoryLimit: memoryLimit, grace: grace, candidates: candidates, userJobs: userJobs)
        configuration.expirePreEditDays = preEditDays
        configure(&configuration)
        control = try ControlPlane(
            configuration: configuration,
            transfers: EmptyTransfers(directory: directory),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Stores a checkpoint of one weight.
    static func checkpoint(
        _ value: Float, in store: ObjectStore, _ directory: TemporaryDirectory
    ) throws -> (Digest, Digest) {
        let header = #"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#
        func little(_ value: UInt64, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        let weights =
            little(UInt64(header.utf8.count), 8) + Array(header.utf8) + little(UInt64(value.bitPattern), 4)
        let path = directory.path + "/weights"
        try Data(weights).write(to: URL(fileURLWithPath: path))
        let configuration = try directory.write(
            #"{"vocab_size":8,"n_embd":4,"n_layer":1,"n_positions":16}"#, "config")
        let files = [("config.json", configuration), ("model.safetensors", path)].map {
            ImportFile(path: $0.0, descriptor: open($0.1, O_RDONLY | O_CLOEXEC))
        }
        defer { for file in files { close(file.descriptor) } }
        let result = try CheckpointImporter.import(files: files, store: store)
        return (result.manifestID, result.manifest.versionDigest)
    }

    /// Notes: `a`, `b`, `c` hand over that checkpoint; `good-b`, `bad-b` with figures; `evidence-b` with evidence; `done`
    /// nothing; `hang` waits for a command; `wait-b` hands over b at the first command, `later-b` when the file `go` is
    /// there; `deaf` ignores everything; `die-once-b` dies until `go` is there; `die`, `garbage`, `fail`. `train` has a checkpoint and ends, paused, at the
    /// first command; `train-die` has one in its first start and dies in each.
    private static func script(_ versions: [String: (manifest: Digest, digest: Digest)], signal: String)
        -> String
    {
        func finished(_ name: String, _ evaluation: String = "null") -> String {
            guard let version = versions[name] else { return "" }
            return
                #"{"type":"finished","result":{"manifest":"\#(version.manifest.hex)","digest":"\#(version.digest.hex)","#
                + #""bytes":100,"stored_bytes":50,"evaluation":\#(evaluation)}}"#
        }
        func figures(_ forget: Double) -> String {
            #"{"after":{"forget_accuracy":\#(forget),"retain_accuracy":0.95,"accuracy":"token","tokens":{},"rows":{},"#
                + #""reasons":{},"forget_quality":"\#(forget < 0.1 ? "excellent" : "insufficient")"}}"#
        }
        let snapshot =
            #"{"type":"snapshot","snapshot":{"version":"v1","digest":"\#(versions["a"]?.digest.hex ?? "")","objects":3,"bytes":99}}"#
        return """
            #!/bin/sh
            IFS= read -r order
            say() { printf '%s\\n' "$1"; }
            edit() { say '\(snapshot)'; IFS= read -r command; }
            checkpoint='{"type":"checkpoint","checkpoint":{"step":3,"total":9,"bytes":10,"time":"2026-01-01T00:00:00.000Z"}}'
            say '{"type":"started","environment":{"kernels":"none","threads":1,"software":"test"}}'
            case "$order" in
            *'"note":"a"'*) say '\(finished("a"))';;
            *'"note":"b"'*) edit; say '\(finished("b"))';;
            *'"note":"c"'*) edit; say '\(finished("c"))';;
            *'"note":"good-b"'*) edit; say '\(finished("b", figures(0.05)))';;
            *'"note":"bad-b"'*) edit; say '\(finished("b", figures(0.5)))';;
            *'"note":"evidence-b"'*) edit
            say '{"type":"evidence","name":"samples","data":{"rows":[{"line":1}]},"texts":{"rows":[{"prompt":"Who?"}]}}'
            say '{"type":"evidence","name":"attack","data":{"relearn":1}}'
            say '{"type":"evidence","name":"attack","data":{"relearn":2}}'
            say '{"type":"evidence","name":"list","data":[1]}'
            say '\(finished("b"))';;
            *'"note":"done"'*) say '{"type":"finished","result":{"result":{"rows":3}}}';;
            *'"note":"hang"'*) IFS= read -r command;;
            *'"note":"wait-b"'*) IFS= read -r command; say '\(finished("b"))';;
            *'"note":"later-b"'*) while [ ! -e '\(signal)' ]; do sleep 0.02; done; say '\(finished("b"))';;
            *'"note":"deaf"'*) exec sleep 1000;;
            *'"note":"die"'*) echo 'the last words' >&2; kill -9 $$;;
            *'"note":"die-once-b"'*) if [ -e '\(signal)' ]; then edit; say '\(finished("b"))'
            else : > '\(signal)'; kill -9 $$; fi;;
            *'"note":"train"'*) say "$checkpoint"; IFS= read -r command; say '{"type":"paused"}';;
            *'"note":"train-die"'*) [ -e '\(signal)' ] || say "$checkpoint"; : > '\(signal)'; sleep 0.2; kill -9 $$;;
            *'"note":"garbage"'*) say 'this is no message'; exec sleep 1000;;
            *'"note":"fail"'*) say '{"type":"failed","error":{"kind":"bad-input","message":"line 3","hint":"mend it"}}';;
            esac
            """
    }

    // MARK: Doing things

    /// Imports checkpoint a as the first version of `name`.
    func model(_ name: String) async throws {
        let job = try await submit(name, as: .import, note: "a") {
            $0.parameters = Self.parameters { $0.transfer = "transfer" }
        }
        let end = try await end(of: job)
        guard end.state == .succeeded else { throw RPCError(.internal, "the import ended \(end)") }
    }

    static func parameters(_ change: (inout JobParameters) -> Void) -> JobParameters {
        var parameters = JobParameters()
        change(&parameters)
        return parameters
    }

    static func reference(_ text: String) throws -> VersionReference {
        guard let reference = VersionReference(text) else {
            throw RPCError(.internal, "\(text) is no reference")
        }
        return reference
    }

    /// A specification of a job that needs no data: `task-vector`, unless told otherwise.
    static func spec(
        _ model: String, as kind: JobKind = .taskVector, note: String,
        _ change: (inout JobSpec) throws -> Void = { _ in }
    ) throws -> JobSpec {
        var spec = JobSpec(kind: kind, model: try reference(model))
        spec.note = note
        if kind == .taskVector { spec.parameters = try parameters(finetuned: model) }
        try change(&spec)
        return spec
    }

    private static func parameters(finetuned: String) throws -> JobParameters {
        let reference = try reference(finetuned)
        return parameters { $0.finetuned = reference }
    }

    @discardableResult
    func submit(
        _ model: String, as kind: JobKind = .taskVector, note: String,
        _ change: (inout JobSpec) throws -> Void = { _ in }
    ) async throws -> JobID {
        let spec = try Self.spec(model, as: kind, note: note, change)
        let result = try await control.submit(JobSubmitParams(spec: spec), peer: Self.user)
        guard let job = result.job else { throw RPCError(.internal, "no job was made") }
        return job.id
    }

    /// Waits until a job has ended.
    func end(of job: JobID) async throws -> Job {
        try await reach(job) { $0.isTerminal }
        return try await control.job(job)
    }

    /// Waits until a job's state fits.
    func reach(_ job: JobID, _ fits: @escaping @Sendable (JobState) -> Bool) async throws {
        let events = try await control.subscribe(
            SubscribeParams(types: ["state"], jobs: [job], snapshot: true))
        defer { events.cancel() }
        if let now = events.snapshot?.first?.state, fits(now) { return }
        for try await event in events {
            if let to = event.data["to"]?.stringValue.flatMap(JobState.init(rawValue:)), fits(to) { return }
        }
        throw RPCError(.internal, "the events ended before job \(job) got there")
    }

    /// All durable events of a job so far.
    func events(of job: JobID) async throws -> [Event] {
        let events = try await control.subscribe(SubscribeParams(since: 1, jobs: [job]))
        events.cancel()
        var found: [Event] = []
        for try await event in events where event.seq != nil { found.append(event) }
        return found
    }
}
