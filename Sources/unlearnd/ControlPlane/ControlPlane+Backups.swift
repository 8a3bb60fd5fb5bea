// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Glibc
import Protocol

extension ControlPlane {
    /// `store.backup`: queues the job that brings a backup target up to date.
    /// - Throws: `not_found` for a target that the configuration does not name.
    package func backup(_ params: StoreBackupParams, peer: Peer) async throws(RPCError) -> JobSubmitResult {
        var parameters = JobParameters()
        parameters.target = params.target
        if params.full == true { parameters.full = true }
        return try await submit(
            JobSubmitParams(spec: JobSpec(kind: .backup, parameters: parameters)), peer: peer)
    }

    /// `store.restore`: queues the job that brings back what the store lacks.
    /// - Throws: `not_found` for a target that the configuration does not name.
    package func restore(_ params: StoreRestoreParams, peer: Peer) async throws(RPCError) -> JobSubmitResult {
        var parameters = JobParameters()
        parameters.target = params.target
        if params.dryRun == true { parameters.dryRun = true }
        return try await submit(
            JobSubmitParams(spec: JobSpec(kind: .restore, parameters: parameters)), peer: peer)
    }

    /// Refuses a submission to a target that there is not, and a restore by someone who may not.
    func checkTarget(_ spec: JobSpec, _ peer: Peer) throws(RPCError) {
        guard spec.kind.copiesStore, let target = spec.parameters?.target else { return }
        try Self.checkRole(spec.kind, peer)
        _ = try configuration.backupTargets.directory(target)
    }

    /// Refuses a kind of job to those who may not ask for it.
    static func checkRole(_ kind: JobKind, _ peer: Peer) throws(RPCError) {
        guard kind != .restore || peer.role >= Method.storeRestore.role else {
            throw RPCError(
                .permissionDenied, "a restore needs the role \(Method.storeRestore.role.rawValue)",
                hint: "ask an administrator")
        }
    }

    /// `store.backups`: what lies in the backup targets.
    /// - Throws: `not_found` for a target that the configuration does not name.
    package func backups(_ params: StoreBackupsParams) async throws(RPCError) -> [BackupTargetStatus] {
        let targets = configuration.backupTargets
        let names = if let target = params.target { [target] } else { targets.directories.keys.sorted() }
        var found: [(name: String, path: String)] = []
        for name in names { found.append((name, try targets.directory(name))) }
        let (all, state) = (found, directory.path)
        return try await answering {
            try await offloading { all.map { Self.status($0.name, $0.path, stateDirectory: state) } }
        }
    }

    private static func status(_ name: String, _ path: String, stateDirectory: String) -> BackupTargetStatus {
        var status = BackupTargetStatus(target: name, directory: path)
        do {
            try BackupTarget.check(path, stateDirectory: stateDirectory)
            status.freeBytes = BackupTarget.freeBytes(path)
            guard try BackupDirectory.isBackup(path) else { return status }
            let directory = try BackupDirectory(root: path, making: false)
            status.encrypted = directory.store.isEncrypted
            for sequence in try directory.generations() {
                let manifest = try directory.manifest(sequence)
                status.generations.append(
                    BackupGeneration(
                        generation: sequence, time: manifest.time, software: manifest.software,
                        versions: manifest.manifests.count, datasets: manifest.datasets.count,
                        objects: manifest.objects.count, bytes: Int64(manifest.bytes),
                        thinned: manifest.thinned))
            }
        } catch let failure as JobFailure { status.fault = failure.message } catch let error
            as CheckpointError
        {
            status.fault = error.message
        } catch { status.fault = "\(error)" }
        return status
    }
}
