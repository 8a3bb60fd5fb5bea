// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A Unix socket that listens at a path, which it alone holds, or which systemd holds for it.
final class ListeningSocket: Sendable {
    /// Why a socket cannot be had.
    struct Fault: Error, CustomStringConvertible {
        var message: String
        var hint: String
        var description: String { "\(message); \(hint)" }
    }

    let path: String
    let descriptor: Int32
    /// `nil` for a path that somebody else holds.
    private let lock: Int32?

    /// A socket that listens already, and whose path stays when the daemon ends.
    init(inherited descriptor: Int32, path: String) {
        (self.path, self.descriptor, lock) = (path, descriptor, nil)
    }

    /// Binds and listens.
    ///
    /// The lock beside the socket says whether another daemon lives there; a socket without its lock is what a
    /// killed daemon left, and is removed. At no moment may anybody connect who should not.
    /// - Parameters:
    ///   - type: `SOCK_STREAM` or `SOCK_SEQPACKET`.
    ///   - group: The group that may connect; `nil`: only the owner.
    ///   - isPublic: Whether a directory that has to be made lets others pass.
    init(path: String, type: __socket_type, group: UInt32?, isPublic: Bool) throws(Fault) {
        guard let address = UnixAddress(path), path.hasPrefix("/") else {
            throw Fault(
                message: "\(path) cannot be the path of a socket", hint: "name another one with --socket")
        }
        try Self.makeDirectory(of: path, mode: isPublic ? 0o755 : 0o700)
        let lock = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw Self.fault("\(path).lock cannot be opened") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw Fault(
                message: "another unlearnd listens on \(path)",
                hint: "stop it first, or name another one with --socket")
        }
        var status = stat()
        if lstat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFSOCK else {
                close(lock)
                throw Fault(message: "\(path) is there and no socket", hint: "name another one with --socket")
            }
            unlink(path)
        }
        let descriptor = socket(
            AF_UNIX, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else {
            close(lock)
            throw Self.fault("no socket can be made")
        }
        // On Linux the file gets the mode of the descriptor, less the umask; the group is let in last.
        guard fchmod(descriptor, 0o600) == 0, address.withPointer({ bind(descriptor, $0, $1) }) == 0,
            group.map({ (lchown(path, uid_t.max, $0) == 0 || errno == EPERM) && chmod(path, 0o660) == 0 })
                ?? true,
            listen(descriptor, 128) == 0
        else {
            let fault = Self.fault("the socket \(path) cannot be made")
            close(descriptor)
            close(lock)
            throw fault
        }
        self.path = path
        self.descriptor = descriptor
        self.lock = lock
    }

    /// Removes the path and lets it go, unless somebody else holds it. The descriptor belongs to whoever serves it.
    func remove() {
        guard let lock else { return }
        unlink(path)
        // The lock file stays: who unlinks it may part two daemons that both wait for it.
        close(lock)
    }

    private static func makeDirectory(of path: String, mode: mode_t) throws(Fault) {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        let directory = String(path[..<slash])
        if mkdir(directory, 0o700) != 0 {
            if errno == EEXIST { return }
            guard errno == ENOENT else { throw fault("\(directory) cannot be made") }
            try makeDirectory(of: directory, mode: 0o755)
            guard mkdir(directory, 0o700) == 0 else { throw fault("\(directory) cannot be made") }
        }
        // Whatever the umask is.
        guard chmod(directory, mode) == 0 else { throw fault("\(directory) cannot be opened to its users") }
    }

    private static func fault(_ what: String) -> Fault {
        Fault(
            message: "\(what): \(String(cString: strerror(errno)))",
            hint: "check the directory's owner and mode, or name another socket with --socket")
    }
}
