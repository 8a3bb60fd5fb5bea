// SPDX-License-Identifier: Apache-2.0

import Client
import Glibc
import Protocol

/// The only place that writes: data to standard output, everything else to standard error.
final class Output {
    let isJSON: Bool
    let isQuiet: Bool
    /// Whether tables are fitted to a terminal.
    let tableWidth: Int?
    /// Whether progress is drawn in place.
    let drawsProgress: Bool
    private let colours: Bool
    private let errorColours: Bool
    private var line = ""

    /// An output as the options and the environment want it.
    init(json: Bool = false, quiet: Bool = false, noColor: Bool = false) {
        isJSON = json
        isQuiet = quiet
        let plain =
            noColor || Terminal.environment("NO_COLOR")?.isEmpty == false
            || Terminal.environment("TERM") == "dumb"
        let isTerminal = Terminal.isTerminal(STDOUT_FILENO)
        tableWidth = isTerminal ? Terminal.width(STDOUT_FILENO) ?? 80 : nil
        colours = isTerminal && !plain
        let errorTerminal = Terminal.isTerminal(STDERR_FILENO)
        errorColours = errorTerminal && !plain
        drawsProgress = errorTerminal && !quiet && Terminal.environment("TERM") != "dumb"
    }

    /// `text` in `style` where colours are wanted on standard output.
    func styled(_ text: String, _ style: Style) -> String { colours ? style.applied(to: text) : text }

    /// One line of data.
    func data(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

    /// Data as they are, without a line feed.
    func raw(_ text: String) { write(text, to: STDOUT_FILENO) }

    /// One JSON value on one line.
    func json(_ value: JSONValue) { data(value.serializedString()) }

    /// A table.
    func table(_ table: Table) { raw(table.rendered(width: tableWidth) { self.styled($0, .bold) }) }

    /// A line for the person who waits, above the progress that is drawn in place.
    func note(_ text: String) {
        guard !isQuiet else { return }
        aside(text)
    }

    /// A line that is written even where quiet is wanted.
    func warn(_ text: String) {
        aside((errorColours ? Style.yellow.applied(to: "warning:") : "warning:") + " " + text)
    }

    /// Draws `text` in place of the line drawn before; the empty text removes it.
    func progress(_ text: String) {
        guard drawsProgress, text != line else { return }
        let width = (Terminal.width(STDERR_FILENO) ?? 80) - 1
        write("\r\u{1B}[K" + String(text.prefix(max(1, width))), to: STDERR_FILENO)
        line = text
    }

    /// Begins a screen anew, for pictures that replace one another.
    func clearScreen() { if tableWidth != nil { raw("\u{1B}[H\u{1B}[2J") } }

    /// Why the command ends.
    func failure(_ error: ClientError) {
        progress("")
        guard !error.message.isEmpty else { return }
        let name = errorColours ? Style.red.applied(to: "unlearnctl:") : "unlearnctl:"
        write("\(name) \(Text.safe(error.message, keepingLines: true))\n", to: STDERR_FILENO)
        if let hint = error.hint { write("  \(Text.safe(hint, keepingLines: true))\n", to: STDERR_FILENO) }
    }

    private func aside(_ text: String) {
        let drawn = line
        progress("")
        write(text + "\n", to: STDERR_FILENO)
        progress(drawn)
    }

    private func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                bytes = bytes.dropFirst(count)
            } else if errno == EAGAIN {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, -1)
            } else if errno != EINTR {
                // Lost data must not look like success; what cannot be said on stderr is not said.
                if descriptor == STDOUT_FILENO { exit(Status.storage.rawValue) }
                return
            }
        }
    }
}
