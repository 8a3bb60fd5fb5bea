// SPDX-License-Identifier: Apache-2.0

import Glibc
import Logging
import Protocol

/// Writes the log to standard error, one line a message, with time and level in words; or, where the journal reads
/// standard error, to the journal itself with priority and fields, and if it does not listen with the level as `<N>`.
struct StandardErrorLog: LogHandler {
    var logLevel: Logger.Level {
        get { own ?? level.current }
        set { own = newValue }
    }
    var metadata: Logger.Metadata = [:]
    private let toJournal: Bool
    private let journal: Journal?
    private let level: LogLevel
    private var own: Logger.Level?

    /// A handler that knows by `JOURNAL_STREAM` whether the journal reads standard error.
    init(level: LogLevel, environment: [String: String]) {
        self.level = level
        var status = stat()
        toJournal =
            fstat(STDERR_FILENO, &status) == 0
            && environment["JOURNAL_STREAM"] == "\(status.st_dev):\(status.st_ino)"
        journal = toJournal ? Journal() : nil
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { _, new in new }
            .sorted { $0.key < $1.key }.map { (key: $0.key, value: Self.oneLine("\($0.value)")) }
        let text = Self.oneLine("\(event.message)") + fields.map { " \($0.key)=\($0.value)" }.joined()
        if let journal {
            let entry =
                [
                    ("PRIORITY", "\(Self.priority(event.level))"), ("SYSLOG_IDENTIFIER", "unlearnd"),
                    ("MESSAGE", text),
                ]
                + fields.map { (Journal.name(of: $0.key), $0.value) }
            if journal.write(entry) { return }
        }
        let line =
            toJournal
            ? "<\(Self.priority(event.level))>\(text)\n" : "\(Timestamp.now) \(event.level) \(text)\n"
        Self.write(line)
    }

    /// A message never becomes two lines, so that nobody can forge one.
    private static func oneLine(_ text: String) -> String {
        text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : String($0) }.joined()
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
