// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `watch`.
struct Watch: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Show the list of jobs, anew at each change.",
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
        session.output.clearScreen()
        session.output.table(JobTable.table(try Connection.decode([Job].self, raw)))
    }
}
