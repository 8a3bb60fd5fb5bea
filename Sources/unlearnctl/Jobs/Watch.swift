// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `watch`.
struct Watch: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Show the queue, what runs with its losses, and the newest jobs, anew at each change.",
        discussion: "On a terminal until Ctrl-C; elsewhere once. With --json one list a line.")

    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let output = session.output
        let connection = try session.connection()
        try session.call(.eventsSubscribe, SubscribeParams())
        try show(session)
        guard output.tableWidth != nil || output.isJSON else { return }
        while true {
            guard try connection.next(session.deadline) != nil else { return }
            // Changes that come close together make one picture.
            let pause = Deadline(in: 0.25)
            while !pause.isOver, try connection.next(pause) != nil {}
            try show(session)
        }
    }

    private func show(_ session: Session) throws(ClientError) {
        let raw = try session.call(.jobList, JobListParams(limit: 30))
        if session.output.isJSON { return session.output.json(raw) }
        let jobs = try Connection.decode([Job].self, raw)
        let queue = try session.call(.queueStatus, as: QueueStatus.self)
        session.output.clearScreen()
        session.output.queue(queue)
        // Jobs of before the newest may run too.
        for id in queue.running {
            var job = jobs.first { $0.id == id }
            if job == nil { job = try session.call(.jobShow, JobParams(job: id), as: Job.self) }
            guard let job, let progress = job.progress else { continue }
            let line =
                "job \(id) \(job.kind.rawValue) \(job.model?.text ?? ""): \(ProgressText.line(progress))"
            session.output.data(String(line.prefix(session.output.tableWidth ?? .max)))
        }
        session.output.data("")
        session.output.table(JobTable.table(jobs))
    }
}
