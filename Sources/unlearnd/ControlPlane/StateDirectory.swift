// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The daemon's own directory, held for as long as this object lives.
final class StateDirectory: Sendable {
    let path: String
    private let lock: Int32

    var database: String { path + "/unlearnd.sqlite" }
    /// Workers hold a shared lock on it while they live.
    var lifeLock: String { path + "/workers.lock" }

    /// Makes the directory if need be and takes it for this process alone.
    /// - Throws: ``StartupError``.
    init(path: String) throws(StartupError) {
        try Self.make(path)
        // Workers run in another directory.
        guard let absolute = realpath(path, nil) else { throw Self.fault(path, "cannot be found") }
        defer { free(absolute) }
        let path = String(cString: absolute)
        self.path = path
        // From here on `deinit` closes it, also when this throws.
        lock = try Self.open(path + "/lock")
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let holder =
                SmallFile.read(path + "/lock", limit: 32)?.split(separator: "\n").first.map(String.init)
                ?? "unknown"
            throw StartupError(
                .locked, "another unlearnd (process \(holder)) uses the state directory \(path)",
                hint: "stop it first, or name another directory with --state-directory")
        }
        _ = ftruncate(lock, 0)
        let text = "\(getpid())\n"
        _ = text.withCString { pwrite(lock, $0, text.utf8.count, 0) }
    }

    deinit { close(lock) }

    /// There while a restore from a backup has not come to its end.
    var restoring: String { path + "/restoring" }

    /// Refuses a directory in which a restore from a backup was cut off.
    /// - Throws: ``StartupError``.
    func refuseHalfRestored() throws(StartupError) {
        guard access(restoring, F_OK) != 0 else {
            throw StartupError(
                .stateDirectory, "\(path) holds half a restored backup",
                hint: "run unlearnd restore with the same --from and --state-directory again")
        }
    }

    /// Waits until no worker of an earlier daemon lives; they end when their daemon does.
    /// - Throws: ``StartupError`` after `seconds`.
    func waitForWorkers(seconds: Double) throws(StartupError) {
        let descriptor = try Self.open(lifeLock)
        defer { close(descriptor) }
        let end = ContinuousClock.now + .seconds(seconds)
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard ContinuousClock.now < end else {
                throw StartupError(
                    .workersAlive, "workers of an earlier daemon still run after \(Int(seconds)) s",
                    hint: "end the processes named unlearnd-worker, then start again")
            }
            usleep(20_000)
        }
    }

    private static func open(_ path: String) throws(StartupError) -> Int32 {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw fault(path, "cannot be opened") }
        return descriptor
    }

    private static func make(_ path: String) throws(StartupError) {
        var partial = ""
        let parts = path.split(separator: "/")
        var status = stat()
        for (index, part) in parts.enumerated() {
            partial += (index == 0 && !path.hasPrefix("/") ? "" : "/") + part
            let mode: mode_t = index == parts.count - 1 ? 0o700 : 0o755
            guard mkdir(partial, mode) != 0, errno != EEXIST else { continue }
            let reason = errno
            // Of one that is there the refusal says nothing.
            guard reason == EROFS || reason == EACCES, stat(partial, &status) == 0 else {
                errno = reason
                throw fault(partial, "cannot be made")
            }
        }
        guard stat(path, &status) == 0 else { throw fault(path, "cannot be read") }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw StartupError(
                .stateDirectory, "\(path) is not a directory", hint: "name another one with --state-directory"
            )
        }
        guard status.st_uid == geteuid() else {
            throw StartupError(
                .stateDirectory, "\(path) belongs to user \(status.st_uid), not to user \(geteuid())",
                hint: "run as its owner, or name another one with --state-directory")
        }
        guard status.st_mode & 0o077 == 0 || chmod(path, 0o700) == 0 else {
            throw fault(path, "cannot be closed to others")
        }
    }

    private static func fault(_ path: String, _ what: String) -> StartupError {
        StartupError(
            .stateDirectory, "\(path) \(what): \(String(cString: strerror(errno)))",
            hint: "check its owner and mode, or name another one with --state-directory")
    }
}
