// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Glibc
import Protocol

/// `system doctor`: works without a daemon too.
struct SystemDoctor: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Look for common faults, and say what helps.",
        discussion: """
            The socket, the daemon behind it, versions, clocks, the state directory, disk space, the store's soundness, \
            encryption, memory, the card, the queue, the kernels that jobs compute on and the audit log. Ends with \
            status 69 if no daemon can be reached, 74 if something else is wrong, 0 where there are \
            warnings at most.
            """)
    @OptionGroup(title: "Global") var options: GlobalOptions

    /// One thing that was looked at.
    private struct Finding {
        /// How it is.
        enum Grade: String { case ok, warning, fault }
        var check: String
        var grade: Grade
        var message: String
        var hint: String?
    }

    func run(in session: Session) throws(ClientError) {
        let socket = Self.socket(session)
        var findings = [socket]
        if socket.grade != .fault { findings += Self.daemon(session) }
        if session.output.isJSON {
            session.output.json(.array(findings.map(Self.json)))
        } else {
            for finding in findings where finding.grade != .ok || !session.output.isQuiet {
                session.output.data(
                    "\(Self.mark(finding.grade, session.output)) \(finding.check): \(Text.safe(finding.message))"
                )
                if let hint = finding.hint { session.output.data("    \(Text.safe(hint))") }
            }
        }
        guard socket.grade != .fault else { throw ClientError(.notReachable, "no daemon can be asked") }
        let faults = findings.count { $0.grade == .fault }
        guard faults == 0 else { throw ClientError(.storage, "\(Text.count(faults, "fault")) found") }
    }

    private static func mark(_ grade: Finding.Grade, _ output: Output) -> String {
        switch grade {
        case .ok: "✓"
        case .warning: output.styled("!", .yellow)
        case .fault: output.styled("✗", .red)
        }
    }

    private static func json(_ finding: Finding) -> JSONValue {
        [
            "check": .string(finding.check), "grade": .string(finding.grade.rawValue),
            "message": .string(finding.message), "hint": finding.hint.map { .string($0) } ?? .null,
        ]
    }

    // MARK: The socket

    private static func socket(_ session: Session) -> Finding {
        do {
            _ = try session.connection()
            return Finding(check: "socket", grade: .ok, message: "\(session.path) answers")
        } catch {
            var status = stat()
            let isStale =
                error.status == .notReachable && stat(session.path, &status) == 0
                && status.st_mode & S_IFMT == S_IFSOCK
            return Finding(
                check: "socket", grade: .fault,
                message: isStale
                    ? "\(session.path) is there, but nothing listens on it: its daemon has died"
                    : error.message,
                hint: isStale
                    ? "start the daemon, which takes its place: systemctl start unlearnd, or unlearnd run"
                    : error.hint)
        }
    }

    // MARK: The daemon

    /// What the daemon can be asked; an answer that fails is a fault, and the others are looked at all the same.
    private static func daemon(_ session: Session) -> [Finding] {
        var findings: [Finding] = []
        func look(_ check: String, _ body: () throws(ClientError) -> [Finding]) {
            do { findings += try body() } catch {
                findings.append(
                    Finding(check: check, grade: .fault, message: error.message, hint: error.hint))
            }
        }
        look("daemon") { () throws(ClientError) in
            let info = try session.call(.systemInfo, as: SystemInfo.self)
            return [version(info), state(info), memory(info)]
        }
        look("card") { () throws(ClientError) in
            [card(try session.call(.systemCard, as: CardReport.self))]
        }
        look("clock") { () throws(ClientError) in
            [clock(try session.call(.systemPing, as: PingResult.self).time)]
        }
        look("disk") { () throws(ClientError) in
            let store = try session.call(.storeStatus, as: StoreStatus.self)
            return [disk(store), garbage(store), verification(store.verification), encryption(store)]
        }
        look("queue") { () throws(ClientError) in
            [queue(try session.call(.queueStatus, as: QueueStatus.self))]
        }
        look("kernels") { () throws(ClientError) in [try kernels(session)] }
        look("audit log") { () throws(ClientError) in
            let result = try session.call(.auditVerify, as: AuditVerifyResult.self)
            return [
                Finding(
                    check: "audit log", grade: result.valid ? .ok : .fault,
                    message: result.valid
                        ? "whole, \(Text.count(result.rows, "row"))"
                        : "broken at row \(result.brokenAt.map(String.init) ?? "?")",
                    hint: result.valid
                        ? nil : "rows from there on were changed or removed; compare with a backup")
            ]
        }
        return findings
    }

    private static func version(_ info: SystemInfo) -> Finding {
        guard info.version != Software.version else {
            return Finding(
                check: "version", grade: .ok, message: "\(info.version), process \(info.pid)")
        }
        return Finding(
            check: "version", grade: .warning,
            message: "the daemon is \(info.version), this client \(Software.version)",
            hint: "restart the daemon if it was upgraded: systemctl restart unlearnd")
    }

    private static func state(_ info: SystemInfo) -> Finding {
        let path = info.stateDirectory
        var status = stat()
        guard stat(path, &status) == 0 else {
            return Finding(
                check: "state directory", grade: errno == EACCES ? .ok : .fault,
                message: errno == EACCES
                    ? "\(path) is closed to this user, as it should be"
                    : "\(path): \(String(cString: strerror(errno)))",
                hint: errno == EACCES
                    ? nil : "the daemon runs on a directory that is gone; restore it, then restart")
        }
        guard status.st_mode & 0o077 == 0 else {
            return Finding(
                check: "state directory", grade: .fault,
                message: "\(path) is open to other users (mode \(String(status.st_mode & 0o777, radix: 8)))",
                hint: "chmod 700 \(path): it holds models and data")
        }
        return Finding(check: "state directory", grade: .ok, message: "\(path), closed to others")
    }

    private static func memory(_ info: SystemInfo) -> Finding {
        let text =
            "\(Text.bytes(info.memoryLimit)) of \(Text.bytes(info.memoryTotal)) for jobs, \(Text.count(info.threads, "thread"))"
        guard info.memoryLimit > info.memoryTotal else {
            return Finding(check: "memory", grade: .ok, message: text)
        }
        return Finding(
            check: "memory", grade: .warning, message: text,
            hint: "jobs that are admitted may not fit: lower memory_limit in the configuration")
    }

    /// A machine without a card has nothing wrong with it.
    private static func card(_ card: CardReport) -> Finding {
        guard let name = card.name else {
            let fault = card.fault ?? JobFailure(.unsupported, "there is none")
            return Finding(check: "card", grade: .ok, message: "none: \(fault.message)", hint: fault.hint)
        }
        return Finding(
            check: "card", grade: .ok,
            message:
                "\(name), \(Text.bytes(card.free ?? 0)) of \(Text.bytes(card.memory ?? 0)) free; \(card.description ?? "")"
        )
    }

    /// Seconds that two clocks of one machine may differ by.
    private static let clockTolerance = 2.0

    private static func clock(_ time: Timestamp) -> Finding {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let difference = Double(time.milliseconds) / 1000 - (Double(now.tv_sec) + Double(now.tv_nsec) / 1e9)
        // Nothing of this software is older.
        guard now.tv_sec > 1_760_000_000 else {
            return Finding(
                check: "clock", grade: .fault, message: "it shows \(time): that is in the past",
                hint: "set it: audit rows, leases and certificates bear its time")
        }
        guard abs(difference) <= clockTolerance else {
            return Finding(
                check: "clock", grade: .warning,
                message: "the daemon's is \(Text.fixed(difference, 1)) s from this one",
                hint: "see whether it was set while the daemon ran")
        }
        return Finding(check: "clock", grade: .ok, message: "\(time)")
    }

    private static func disk(_ store: StoreStatus) -> Finding {
        let free = store.freeBytes
        let largest = store.models > 0 ? store.rawBytes / Int64(max(1, store.versions)) : 0
        let text = "\(Text.bytes(free)) are free"
        if free < 256 << 20 {
            return Finding(
                check: "disk", grade: .fault, message: text,
                hint: "jobs will fail: unlearnctl store gc, or give the file system more space")
        }
        guard free >= max(1 << 30, 2 * largest) else {
            return Finding(
                check: "disk", grade: .warning, message: "\(text), less than two versions need",
                hint: "unlearnctl store gc, or give the file system more space")
        }
        return Finding(check: "disk", grade: .ok, message: text)
    }

    private static func garbage(_ store: StoreStatus) -> Finding {
        guard store.garbageBytes > max(1 << 20, store.storedBytes / 4) else {
            return Finding(check: "store", grade: .ok, message: Text.count(store.objects, "object"))
        }
        return Finding(
            check: "store", grade: .warning,
            message:
                "\(Text.bytes(store.garbageBytes)) in \(Text.count(store.garbageObjects, "object")) are used by nothing",
            hint: "unlearnctl store gc frees them")
    }

    private static func verification(_ verification: StoreVerification) -> Finding {
        let text = VerificationText.state(verification)
        if verification.damage != nil {
            return Finding(
                check: "verification", grade: .fault, message: text,
                hint:
                    "import the same files again or unlearnctl store restore TARGET; then unlearnctl store verify"
            )
        }
        let now = Timestamp.now.milliseconds
        // Twice as late as it may be.
        if let every = verification.everyHours, let next = verification.next,
            now - next.milliseconds > Int64(every) * 3_600_000
        {
            return Finding(
                check: "verification", grade: .warning, message: text,
                hint: "the scheduled one did not run: unlearnctl ps --all and the daemon's log say why")
        }
        return Finding(
            check: "verification", grade: .ok, message: text,
            hint: verification.last == nil ? "unlearnctl store verify reads every object" : nil)
    }

    private static func encryption(_ store: StoreStatus) -> Finding {
        guard let encryption = store.encryption else {
            return Finding(
                check: "encryption", grade: .ok,
                message: "the store is not encrypted: a purge is a logical deletion")
        }
        return Finding(
            check: "encryption", grade: .ok,
            message: "\(encryption.cipher), master key \(encryption.masterKey), key ring \(encryption.ring)")
    }

    /// What the newest job that computed said of its kernels: the daemon itself never computes.
    private static func kernels(_ session: Session) throws(ClientError) -> Finding {
        let jobs = try session.call(
            .jobList, JobListParams(states: [.running, .succeeded, .failed], all: true, limit: 20),
            as: [Job].self)
        for job in jobs.reversed() {
            let log = try session.call(.jobLog, JobLogParams(job: job.id, limit: 20), as: JobLogResult.self)
            guard let line = log.lines.first(where: { $0.message.contains("OpenBLAS") }) else { continue }
            // OpenBLAS's own names for what runs anywhere, at a tenth of the speed.
            let isSlow = ["Prescott", "generic"].contains { line.message.contains($0) }
            return Finding(
                check: "kernels", grade: isSlow ? .warning : .ok, message: "\(line.message) (job \(job.id))",
                hint: isSlow
                    ? "OpenBLAS does not know this processor: see that libopenblas0-pthread is installed"
                    : nil)
        }
        return Finding(check: "kernels", grade: .ok, message: "no job has computed yet")
    }

    private static func queue(_ queue: QueueStatus) -> Finding {
        let waiting = queue.jobs[JobState.queued.rawValue] ?? 0
        guard queue.paused else {
            return Finding(
                check: "queue", grade: .ok,
                message: "\(Text.count(queue.running.count, "job")) running, \(waiting) waiting")
        }
        return Finding(
            check: "queue", grade: .warning, message: "it is paused, \(Text.count(waiting, "job")) waiting",
            hint: "unlearnctl queue resume")
    }
}
