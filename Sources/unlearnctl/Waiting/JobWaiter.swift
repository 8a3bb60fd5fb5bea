// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// Waits until jobs have ended, through pauses of the daemon.
final class JobWaiter {
    /// What Ctrl-C means.
    enum Interruption {
        /// The jobs go on.
        case detach
        /// The jobs are of no use without this client.
        case cancel
    }

    /// Seconds without a message after which the daemon is asked whether it still answers.
    private static let silence = 15.0
    /// Seconds that a waiting client gives a daemon to come back.
    private static let patience = 120.0
    /// The same where the job needs files that were open in the daemon that is gone: only its failure can be told.
    private static let transferPatience = 10.0

    private let session: Session
    private let jobs: [JobID]
    private let interruption: Interruption
    private let display: ProgressDisplay
    private var finished: [JobID: JSONValue] = [:]
    /// The position in the durable log after the last event seen.
    private var position: Int64?

    /// Waits for `jobs`.
    /// - Parameter writesLines: Whether progress is told in lines where it cannot be drawn.
    init(
        _ session: Session, _ jobs: [JobID], onInterrupt interruption: Interruption = .detach,
        writesLines: Bool = true
    ) {
        self.session = session
        self.jobs = jobs
        self.interruption = interruption
        display = ProgressDisplay(session.output, jobs, writesLines: writesLines)
    }

    /// The jobs as they ended, in the order asked for.
    /// - Throws: ``ClientError`` with status 8 when the time is over, 130 for Ctrl-C, 5 for a job that is not there.
    func wait() throws(ClientError) -> [JSONValue] {
        let interrupts = Interrupts()
        defer { display.clear() }
        var isLost = false
        var end = Deadline(in: 0)
        while true {
            do throws(ClientError) {
                if isLost {
                    _ = try session.connection()
                    session.output.note("connected to unlearnd again")
                    isLost = false
                }
                try follow(interrupts)
                return jobs.compactMap { finished[$0] }
            } catch {
                // A first connection that fails is the caller's news, a lost one is waited out.
                guard position != nil, error.status == .notReachable || error.status == .tryAgain else {
                    throw error
                }
                session.disconnect()
                if !isLost {
                    session.output.note("unlearnd is gone; waiting for it to come back")
                    end = Deadline(in: interruption == .cancel ? Self.transferPatience : Self.patience)
                }
                isLost = true
                if end.isOver {
                    throw ClientError(
                        error.status, error.message,
                        hint:
                            "\(openJobs) will be taken up by the next unlearnd; then: unlearnctl wait \(openNumbers)"
                    )
                }
                let pause = Deadline(in: 0.5)
                while !pause.isOver {
                    try check(interrupts)
                    Deadline(in: 0.1).sleep()
                }
            }
        }
    }

    /// Subscribes and reads events until all jobs have ended.
    private func follow(_ interrupts: Interrupts) throws(ClientError) {
        let connection = try session.connection()
        var again = true
        while again {
            try subscribe(connection)
            again = false
            var quiet = Deadline(in: Self.silence)
            while finished.count < Set(jobs).count, !again {
                try check(interrupts)
                guard let message = try connection.next(Deadline(in: 0.1)) else {
                    // A stopped daemon keeps its socket open; only an answer tells that it lives.
                    if quiet.isOver {
                        try connection.call(.systemPing, deadline: Deadline(in: Connection.greetingTime))
                        quiet = Deadline(in: Self.silence)
                    }
                    continue
                }
                quiet = Deadline(in: Self.silence)
                if case .event(let event, _) = message { again = try take(event) }
            }
        }
    }

    private func subscribe(_ connection: Connection) throws(ClientError) {
        let open = jobs.filter { finished[$0] == nil }
        var params = SubscribeParams(since: position, jobs: open, snapshot: true)
        var answer = try connection.callReturningError(.eventsSubscribe, params)
        if case .failure(let error) = answer, error.kind == .gone || error.field == "since" {
            // The events in between are no longer kept; the snapshot tells where things stand.
            params.since = nil
            answer = try connection.callReturningError(.eventsSubscribe, params)
        }
        switch answer {
        case .failure(let error): throw ClientError(error)
        case .success(let value):
            if position == nil || params.since == nil { position = value["next_seq"]?.integerValue ?? 0 }
            for job in value["snapshot"]?.arrayValue ?? [] { try take(snapshot: job) }
        }
    }

    private func take(snapshot value: JSONValue) throws(ClientError) {
        let job = try Connection.decode(Job.self, value)
        for epoch in job.training ?? [] { display.epoch(job.id, epoch) }
        if job.state.isTerminal {
            finished[job.id] = value
            display.end(job.id)
        } else {
            display.state(job.id, job.state.rawValue, job.reason)
            if let progress = job.progress { display.progress(job.id, progress) }
        }
    }

    /// - Returns: Whether the subscription has ended and must be made anew.
    private func take(_ event: Event) throws(ClientError) -> Bool {
        if let seq = event.seq { position = seq + 1 }
        if event.type == .lagged { return true }
        guard let job = event.job, jobs.contains(job), finished[job] == nil else { return false }
        switch event.type {
        case .state:
            guard let name = event.data["to"]?.stringValue else { return false }
            if JobState(rawValue: name)?.isTerminal == true {
                // An event of the past may tell of an attempt that was followed by another.
                try take(snapshot: try session.call(.jobShow, JobParams(job: job)))
            } else {
                display.state(job, name, event.data["reason"]?.stringValue)
            }
        case .progress:
            if let progress = try? event.data.decode(JobProgress.self, allowUnknown: true) {
                display.progress(job, progress)
            }
        case .epoch:
            if let epoch = try? event.data.decode(TrainingEpoch.self, allowUnknown: true) {
                display.epoch(job, epoch)
            }
        case .warning:
            if let text = (event.data["warning"] ?? event.data["message"])?.stringValue {
                display.note(job, "warning: \(text)")
            }
        case .snapshot:
            if let version = event.data["version"]?.stringValue,
                let digest = event.data["digest"]?.stringValue
            {
                display.note(job, "snapshot of \(version), digest \(digest.prefix(12))…, is whole and pinned")
            }
        default: break
        }
        return false
    }

    /// Looks whether the time is over or somebody pressed Ctrl-C.
    private func check(_ interrupts: Interrupts) throws(ClientError) {
        if interrupts.isPending { throw interrupted() }
        if session.deadline?.isOver == true {
            display.clear()
            throw ClientError(
                .timedOut, "timed out waiting; \(openJobs) \(openCount == 1 ? "goes" : "go") on",
                hint: "wait on with: unlearnctl wait \(openNumbers)")
        }
    }

    private func interrupted() -> ClientError {
        display.clear()
        guard interruption == .cancel else {
            return ClientError(
                .detached,
                "\(openJobs) \(openCount == 1 ? "goes on; stop it" : "go on; stop them") with: unlearnctl cancel \(openNumbers)"
            )
        }
        for job in jobs where finished[job] == nil {
            _ = try? session.call(.jobCancel, JobCancelParams(job: job))
        }
        return ClientError(.detached, "\(openJobs) cancelled")
    }

    private var openCount: Int { jobs.filter { finished[$0] == nil }.count }
    private var openNumbers: String {
        jobs.filter { finished[$0] == nil }.map(String.init).joined(separator: " ")
    }
    private var openJobs: String { openCount == 1 ? "job \(openNumbers)" : "jobs \(openNumbers)" }
}
