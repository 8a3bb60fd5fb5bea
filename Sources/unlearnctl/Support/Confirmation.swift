// SPDX-License-Identifier: Apache-2.0

import Client
import Glibc
import Protocol

/// Asks before something is destroyed.
enum Confirmation {
    /// Returns if `--yes` was given or the person at the terminal says yes.
    /// - Throws: ``ClientError`` with status 64 where nobody can be asked, and 4 for a no.
    static func ask(_ question: String, _ session: Session) throws(ClientError) {
        if session.isConfirmed { return }
        guard Terminal.isTerminal(STDIN_FILENO), Terminal.isTerminal(STDERR_FILENO) else {
            throw ClientError(.usage, "\(question) Nobody is there to be asked", hint: "add --yes")
        }
        let text = "\(question) Type yes: "
        _ = text.withCString { write(STDERR_FILENO, $0, text.utf8.count) }
        guard readLine() == "yes" else {
            throw ClientError(.cancelledOrLost, "nothing was destroyed")
        }
    }
}
