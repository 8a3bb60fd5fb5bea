// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// What the shell offers for an argument: the jobs, models and versions that the daemon has at that moment.
///
/// A daemon that cannot be reached, or takes longer than a person waits for a key, offers nothing and says nothing.
enum LiveCompletion {
    /// Seconds that a shell may be held up.
    private static let patience = 0.3
    /// Most jobs, and versions of a model, that are offered, the newest.
    private static let most = 100

    /// Numbers of jobs, newest first.
    /// - Parameter states: Those to which the command applies; absent: all.
    static func jobs(_ states: [JobState]? = nil) -> CompletionKind {
        .custom { words, _, _ in
            ask(words) { connection, deadline throws(ClientError) in
                let params = JobListParams(states: states, all: true, limit: most)
                return try connection.call(.jobList, params, as: [Job].self, deadline: deadline).reversed()
                    .map {
                        "\($0.id)"
                    }
            }
        }
    }

    /// Jobs that have not ended.
    static var openJobs: CompletionKind { jobs(JobState.allCases.filter { !$0.isTerminal }) }

    /// Names of models.
    static var models: CompletionKind {
        .custom { words, _, _ in
            ask(words) { connection, deadline throws(ClientError) in
                try connection.call(.modelList, as: [ModelSummary].self, deadline: deadline).map(\.model.text)
            }
        }
    }

    /// Names of models, and their versions once a name and `@` stand there.
    static var versions: CompletionKind {
        .custom { words, _, prefix in
            ask(words) { connection, deadline throws(ClientError) in
                guard let at = prefix.firstIndex(of: "@"), let name = ModelName(String(prefix[..<at])) else {
                    return try connection.call(.modelList, as: [ModelSummary].self, deadline: deadline).map(
                        \.model.text)
                }
                let versions = try connection.call(
                    .modelHistory, ModelHistoryParams(model: name, limit: most), as: [VersionSummary].self,
                    deadline: deadline)
                return versions.reversed().map { "\(name)@\($0.version)" }
            }
        }
    }

    private static func ask(
        _ words: [String], _ body: (Connection, Deadline) throws(ClientError) -> [String]
    ) -> [String] {
        let deadline = Deadline(in: patience)
        var path = SocketPath.standard
        for (index, word) in words.enumerated() {
            if word == "--socket", index + 1 < words.count { path = words[index + 1] }
            if word.hasPrefix("--socket=") { path = String(word.dropFirst(9)) }
        }
        do {
            return try body(Connection(path: path, program: "unlearnctl", patience: patience), deadline)
        } catch { return [] }
    }
}
