// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// Tells systemd how the daemon is (sd_notify(3)): one datagram to `$NOTIFY_SOCKET`. Without it, nothing.
struct ServiceManager: Sendable {
    private let socketPath: String?

    /// The manager that the environment names.
    init(environment: [String: String]) { socketPath = environment["NOTIFY_SOCKET"] }

    /// Whether anybody listens.
    var isThere: Bool { socketPath != nil }

    /// The daemon serves requests.
    func ready(_ status: String) { send("READY=1\nSTATUS=\(status)") }
    /// The daemon reads its configuration anew; ``reloaded()`` follows. The manager must be able to tell this reload from
    /// one that it asked for later (`Type=notify-reload`), so the time goes with it.
    func reloading() {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        send("RELOADING=1\nMONOTONIC_USEC=\(Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000)")
    }
    /// What ``reloading()`` began is over.
    func reloaded() { send("READY=1") }
    /// The daemon is about to end.
    func stopping() { send("STOPPING=1\nSTATUS=stopping") }
    /// Something for `systemctl status`.
    func status(_ text: String) { send("STATUS=\(text)") }
    /// Starting, or stopping, goes on and needs so much longer than the unit allows.
    func extendTimeout(seconds: Int) { send("EXTEND_TIMEOUT_USEC=\(seconds * 1_000_000)") }
    /// The daemon lives: the next of these is due within the unit's `WatchdogSec=`.
    func alive() { send("WATCHDOG=1") }

    private func send(_ message: String) {
        guard let socketPath, let address = UnixAddress(socketPath) else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        guard address.withPointer({ connect(descriptor, $0, $1) }) == 0 else { return }
        let bytes = Array(message.utf8)
        _ = bytes.withUnsafeBytes { cl_send(descriptor, $0.baseAddress, $0.count, nil, 0) }
    }
}
