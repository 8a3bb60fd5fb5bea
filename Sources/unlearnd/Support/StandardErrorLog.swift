// SPDX-License-Identifier: Apache-2.0

import Glibc
import Logging
import Protocol

/// Writes the log to standard error, one line a message: for the journal with its level as `<N>`, else with
/// time and level in words.
struct StandardErrorLog: LogHandler {
    var logLevel: Logger.Level {
        get { own ?? level.current }
        set { own = newValue }
    }
    var metadata: Logger.Metadata = [:]
    private let toJournal: Bool
    private let level: LogLevel
    private var own: Logger.Level?

    /// A handler that knows by `JOURNAL_STREAM` whether the journal reads standard error.
    init(level: LogLevel, environment: [String: String]) {
        self.level = level
        var status = stat()
        toJournal =
            fstat(STDERR_FILENO, &status) == 0
            && environment["JOURNAL_STREAM"] == "\(status.st_dev):\(status.st_ino)"
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { _, new in new }
            .sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        // A message never becomes two lines, so that nobody can forge one.
        let text = "\(event.message)\(fields)".unicodeScalars
            .map { $0.value < 0x20 || $0.value == 0x7F ? " " : String($0) }.joined()
        let line =
            toJournal
            ? "<\(Self.priority(event.level))>\(text)\n" : "\(Timestamp.now) \(event.level) \(text)\n"
        Self.write(line)
    }

    /// Writes a line that is no log message.
    static func say(_ text: String) { write(text + "\n") }

    private static func write(_ line: String) {
        var bytes = Array(line.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            guard written > 0 else { return }
            bytes = bytes.dropFirst(written)
        }
    }

    /// The syslog priority of a level (sd-daemon(3)).
    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
