// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Every way in which a job changes its state. What is not here cannot happen.
package enum JobTransition: String, CaseIterable, Sendable {
    /// Somebody holds a waiting job.
    case hold
    /// A held job may run.
    case release
    /// A held job is released, but still waits for others.
    case releaseBlocked
    /// The jobs waited for have ended as wished.
    case unblock
    /// The scheduler starts it.
    case claim
    /// A running job has been paused: its worker is gone, its training checkpoint is there.
    case pause
    /// A paused job waits to go on.
    case resume
    /// It is cancelled while no worker is at work on it, or what it waits for can no longer happen.
    case drop
    /// Somebody cancels a running job.
    case requestCancel
    /// The cancelled worker is gone.
    case endCancelled
    /// The result is durable; the transaction comes next.
    case beginCommit
    /// The version and the job's end are committed.
    case commit
    /// A job that writes no version has ended.
    case succeed
    /// It failed.
    case fail
    /// What it needs died with the daemon before it began.
    case expire
    /// The daemon stopped or died under it: it waits again, at no cost.
    case interrupt
    /// It failed in a way that may pass, and waits to be tried again.
    case backOff
    /// It was interrupted too often.
    case abandon
    /// Somebody wants it run again.
    case retry

    /// The states in which it can happen.
    package var from: Set<JobState> {
        switch self {
        case .hold: [.blocked, .queued]
        case .release, .releaseBlocked: [.held]
        case .unblock: [.blocked]
        case .claim: [.queued]
        case .pause: [.running]
        case .resume: [.paused]
        case .drop: [.held, .blocked, .queued, .paused]
        case .requestCancel: [.running]
        case .endCancelled: [.cancelling]
        case .beginCommit: [.running]
        case .commit: [.committing]
        case .succeed: [.running]
        case .fail: [.running, .committing]
        case .expire: [.held, .blocked, .queued]
        case .interrupt, .backOff: [.running, .committing]
        case .abandon: [.running, .committing]
        case .retry: [.failed, .cancelled, .lost]
        }
    }

    /// The state that it leads to.
    package var to: JobState {
        switch self {
        case .hold: .held
        case .release, .unblock, .interrupt, .backOff, .retry, .resume: .queued
        case .pause: .paused
        case .releaseBlocked: .blocked
        case .claim: .running
        case .drop, .endCancelled: .cancelled
        case .requestCancel: .cancelling
        case .beginCommit: .committing
        case .commit, .succeed: .succeeded
        case .fail, .expire: .failed
        case .abandon: .lost
        }
    }
}
