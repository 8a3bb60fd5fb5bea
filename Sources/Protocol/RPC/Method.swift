// SPDX-License-Identifier: Apache-2.0

/// The methods of the protocol. The doc comment of each names its parameters and result.
package enum Method: String, Codable, Sendable, CaseIterable {
    /// ``SessionHelloParams`` → ``SessionHelloResult``
    case sessionHello = "session.hello"
    /// ``NoParams`` → ``PingResult``; served out of band
    case systemPing = "system.ping"
    /// ``NoParams`` → ``SystemInfo``
    case systemInfo = "system.info"
    /// ``NoParams`` → ``CardReport``
    case systemCard = "system.card"
    /// ``SystemSchemaParams`` → the JSON Schema of the protocol
    case systemSchema = "system.schema"
    /// ``SubscribeParams`` → ``SubscribeResult``, then notifications `event`
    case eventsSubscribe = "events.subscribe"
    /// ``BlobBeginParams`` → ``BlobBeginResult``
    case blobBegin = "blob.begin"
    /// ``BlobChunkParams`` → ``BlobChunkResult``
    case blobChunk = "blob.chunk"
    /// ``BlobCommitParams`` → ``DatasetSummary``
    case blobCommit = "blob.commit"
    /// ``DatasetListParams`` → [``DatasetSummary``]
    case datasetList = "dataset.list"
    /// ``DatasetParams`` → ``DatasetSummary``
    case datasetShow = "dataset.show"
    /// ``TransferOpenParams`` → ``TransferOpenResult``
    case transferOpen = "transfer.open"
    /// ``JobSubmitParams`` → ``JobSubmitResult``
    case jobSubmit = "job.submit"
    /// ``JobSweepParams`` → ``JobSweepResult``
    case jobSweep = "job.sweep"
    /// ``JobListParams`` → [``Job``]
    case jobList = "job.list"
    /// ``JobParams`` → ``Job``
    case jobShow = "job.show"
    /// ``JobCancelParams`` → ``JobCancelResult``; accepted out of band
    case jobCancel = "job.cancel"
    /// ``JobParams`` → ``Job``
    case jobRetry = "job.retry"
    /// ``JobParams`` → ``Job``
    case jobHold = "job.hold"
    /// ``JobParams`` → ``Job``
    case jobRelease = "job.release"
    /// ``JobParams`` → ``Job``
    case jobPause = "job.pause"
    /// ``JobParams`` → ``Job``
    case jobResume = "job.resume"
    /// ``JobLogParams`` → ``JobLogResult``
    case jobLog = "job.log"
    /// ``JobEvidenceParams`` → ``JobEvidenceResult``
    case jobEvidence = "job.evidence"
    /// ``ModelListParams`` → [``ModelSummary``]
    case modelList = "model.list"
    /// ``ModelShowParams`` → ``ModelDetail``
    case modelShow = "model.show"
    /// ``ModelHistoryParams`` → [``VersionSummary``]
    case modelHistory = "model.history"
    /// ``ModelFilesParams`` → ``VersionFiles``
    case modelFiles = "model.files"
    /// ``RollbackParams`` → ``HeadMove``
    case modelRollback = "model.rollback"
    /// ``PromoteParams`` → ``HeadMove``
    case modelPromote = "model.promote"
    /// ``ModelFilterParams`` → ``ModelFilter``
    case modelFilter = "model.filter"
    /// ``HoldParams`` → ``VersionSummary``
    case modelHold = "model.hold"
    /// ``VersionParams`` → ``VersionSummary``
    case modelUnhold = "model.unhold"
    /// ``TagParams`` → ``VersionSummary``
    case modelTag = "model.tag"
    /// ``PurgeVersionParams`` → ``PurgeResult``
    case modelPurge = "model.purge"
    /// ``RemoveModelParams`` → ``RemoveModelResult``
    case modelRemove = "model.remove"
    /// ``PublishParams`` → ``PublishResult``
    case modelPublish = "model.publish"
    /// ``PublishParams`` → ``UnpublishResult``
    case modelUnpublish = "model.unpublish"
    /// ``PurgeDatasetParams`` → ``PurgeResult``
    case datasetPurge = "dataset.purge"
    /// ``PurgeJobParams`` → ``PurgeResult``
    case jobPurge = "job.purge"
    /// ``NoParams`` → ``StoreStatus``
    case storeStatus = "store.status"
    /// ``StoreGCParams`` → ``StoreGCResult``
    case storeGC = "store.gc"
    /// ``StoreBackupParams`` → ``JobSubmitResult``
    case storeBackup = "store.backup"
    /// ``StoreBackupsParams`` → [``BackupTargetStatus``]
    case storeBackups = "store.backups"
    /// ``StoreRestoreParams`` → ``JobSubmitResult``
    case storeRestore = "store.restore"
    /// ``StoreOptimizeParams`` → ``JobSubmitResult``
    case storeOptimize = "store.optimize"
    /// ``NoParams`` → ``QueueStatus``
    case queueStatus = "queue.status"
    /// ``NoParams`` → ``QueueStatus``
    case queuePause = "queue.pause"
    /// ``NoParams`` → ``QueueStatus``
    case queueResume = "queue.resume"
    /// ``AuditLogParams`` → [``AuditRow``]
    case auditLog = "audit.log"
    /// ``NoParams`` → ``AuditVerifyResult``
    case auditVerify = "audit.verify"
    /// ``NoParams`` → ``AuditKey``
    case auditKey = "audit.key"
    /// ``CertificateParams`` → ``CertificateResult``
    case auditCertificate = "audit.certificate"

    /// The least role that may call it.
    package var role: Role {
        switch self {
        case .sessionHello, .systemPing, .systemInfo, .systemCard, .systemSchema, .eventsSubscribe,
            .datasetList,
            .datasetShow,
            .jobList, .jobShow, .jobLog, .jobEvidence, .modelList, .modelShow, .modelHistory, .modelFiles,
            .storeStatus, .storeBackups,
            .queueStatus, .auditLog, .auditVerify, .auditKey:
            .viewer
        case .blobBegin, .blobChunk, .blobCommit, .transferOpen, .jobSubmit, .jobSweep, .jobCancel, .jobRetry,
            .jobHold, .jobRelease, .jobPause, .jobResume, .modelRollback, .modelPromote, .modelFilter,
            .modelHold, .modelTag, .storeGC, .storeBackup, .storeOptimize, .auditCertificate,
            .queuePause, .queueResume:
            .operator_
        case .modelUnhold, .modelPurge, .modelRemove, .datasetPurge, .jobPurge, .storeRestore,
            .modelPublish, .modelUnpublish:
            .admin
        }
    }

    /// Whether the request changes anything: such requests of one connection run in the order they came.
    package var mutates: Bool { role != .viewer }
}
