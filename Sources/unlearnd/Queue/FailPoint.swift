// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Places where a test makes the daemon die as if by `kill -9`: `UNLEARND_FAILPOINT=before-commit`.
///
/// Each stands at a step whose interruption must leave either the old state or the new one.
enum FailPoint: String, CaseIterable {
    /// A job was claimed; no worker runs yet.
    case afterClaim = "after-claim"
    /// The snapshot is recorded; the worker was not told to go on.
    case afterSnapshot = "after-snapshot"
    /// The result is durable; its job is not yet `committing`.
    case afterResult = "after-result"
    /// The job is `committing`; the transaction has not begun.
    case beforeCommit = "before-commit"
    /// Everything of the commit was written inside the transaction, which has not ended.
    case insideCommit = "inside-commit"
    /// The commit is durable; nobody was told.
    case afterCommit = "after-commit"
    /// A head was moved by hand inside the transaction, which has not ended.
    case insideHeadMove = "inside-head-move"
    /// The move is durable; nobody was told.
    case afterHeadMove = "after-head-move"
    /// A job was written inside the transaction of its submission, which has not ended.
    case insideSubmit = "inside-submit"
    /// The job is durable; nobody was told.
    case afterSubmit = "after-submit"
    /// The orphans of an earlier daemon were put back inside the transaction, which has not ended.
    case insideRecovery = "inside-recovery"

    /// A copy in a publish target has its name; nobody wrote that down.
    case afterSeal = "after-seal"
    /// The new link of a publish target lies beside the old one.
    case beforeSwitch = "before-switch"
    /// The link names the new copy; nobody wrote that down.
    case afterSwitch = "after-switch"
    /// The switch is recorded; its hook has not run.
    case afterPublishRecord = "after-publish-record"
    /// A target is to be given up; its copies are still there.
    case insideUnpublish = "inside-unpublish"

    /// Everything of a purge was written inside the transaction, which has not ended.
    case insidePurge = "inside-purge"
    /// The purge is durable; no file is gone yet.
    case afterPurgeRecord = "after-purge-record"
    /// The datasets' lists are gone, their objects are not.
    case afterPurgeDatasets = "after-purge-datasets"
    /// The objects are gone; the purge is not recorded as finished.
    case afterPurgeObjects = "after-purge-objects"
    /// The keys are gone, too; the purge is not recorded as finished.
    case afterPurgeKeys = "after-purge-keys"

    /// The database is copied into a backup directory; no object is.
    case afterBackupDraft = "after-backup-draft"
    /// A generation of a backup has its new database; its manifest names the old one.
    case insideThinning = "inside-thinning"

    /// The variable that names the point.
    static let variable = "UNLEARND_FAILPOINT"

    /// Dies here if this point is the one that the environment names.
    func reach() {
        guard let name = getenv(Self.variable), String(cString: name) == rawValue else { return }
        kill(getpid(), SIGKILL)
        // SIGKILL is delivered before the system call returns to any thread of the process.
        _exit(137)
    }
}
