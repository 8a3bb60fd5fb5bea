// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport

/// A daemon that root runs, and two other users of the system who may only use its socket.
final class TwoUsers {
    /// Users of every Debian system, without a shell and without files of their own.
    enum User: String, CaseIterable {
        case alice = "games"
        case bob = "mail"
    }

    /// Why this cannot be tried here; `nil` where it can.
    static let obstacle: String? = {
        if geteuid() != 0 { return "other users' processes can only be started by root" }
        for program in ["/usr/bin/setpriv", "/usr/bin/python3"] where access(program, X_OK) != 0 {
            return "there is no \(program)"
        }
        for user in User.allCases where getpwnam(user.rawValue) == nil {
            return "there is no user \(user.rawValue)"
        }
        return nil
    }()

    /// What a run gave.
    struct Output {
        var status: Int32
        var stdout: String
        var stderr: String
        /// Standard output as JSON.
        var json: JSONValue { get throws { try StrictJSON.parse(stdout) } }
    }

    let daemon: RunningDaemon
    /// Where everybody may look; each user has a directory in it that nobody else may.
    let place: String
    private var runs = 0

    init() throws {
        let users = User.allCases.map(\.rawValue).joined(separator: ", ")
        daemon = try RunningDaemon(environment: ["UNLEARND_OPERATOR_USERS": users])
        place = daemon.directory + "/place"
        chmod(daemon.directory, 0o711)
        mkdir(place, 0o755)
        chmod(place, 0o755)
        for user in User.allCases {
            let directory = home(user)
            mkdir(directory, 0o700)
            try own(directory, user)
        }
        // The client, where other users can reach it; and the sockets, as the group `unlearn` would be let in.
        // By another process: a program that this one had open for writing might still be so in a child of another test.
        let copy = try ChildProcess(
            "/bin/cp", [Products.path("unlearnctl"), place + "/unlearnctl"], environment: [:],
            input: "/dev/null", output: "/dev/null", errors: "/dev/null")
        guard try copy.wait(seconds: 60) == 0 else {
            throw TestFailure("unlearnctl cannot be copied to \(place)")
        }
        chmod(place + "/unlearnctl", 0o755)
        for socket in [daemon.socket, daemon.directory + "/s.fd.sock"] { chmod(socket, 0o666) }
    }

    func home(_ user: User) -> String { "\(place)/\(user)" }

    func own(_ path: String, _ user: User) throws {
        guard let entry = getpwnam(user.rawValue)?.pointee, lchown(path, entry.pw_uid, entry.pw_gid) == 0
        else {
            throw TestFailure("\(path) cannot be given to \(user.rawValue)")
        }
    }

    func uid(_ user: User) -> Int { Int(getpwnam(user.rawValue)?.pointee.pw_uid ?? 0) }

    /// Writes a file of a user, or of root.
    @discardableResult
    func write(_ text: String, _ path: String, mode: mode_t = 0o600, by user: User? = nil) throws -> String {
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        chmod(path, mode)
        if let user { try own(path, user) }
        return path
    }

    /// Runs a program as a user.
    func run(
        _ user: User, _ program: String, _ arguments: [String], input: String = "/dev/null"
    ) throws -> Output {
        runs += 1
        let (output, errors) = ("\(daemon.directory)/u\(runs).out", "\(daemon.directory)/u\(runs).err")
        let process = try ChildProcess(
            "/usr/bin/setpriv",
            [
                "--reuid=\(user.rawValue)", "--regid=\(user.rawValue)", "--clear-groups", "--no-new-privs",
                program,
            ]
                + arguments,
            environment: ["PATH": "/usr/bin:/bin", "HOME": home(user), "UNLEARND_SOCKET": daemon.socket],
            input: input, output: output, errors: errors)
        let status = try process.wait(seconds: 60)
        return Output(
            status: status, stdout: try String(contentsOfFile: output, encoding: .utf8),
            stderr: try String(contentsOfFile: errors, encoding: .utf8))
    }

    /// Runs the client as a user.
    func ctl(_ user: User, _ arguments: [String], input: String = "/dev/null") throws -> Output {
        try run(user, place + "/unlearnctl", arguments, input: input)
    }

    /// Runs Python as a user, with a small client of the protocol at hand: `call(method, params)` gives the answer,
    /// `send(token, index, descriptors)` that of the descriptor socket.
    /// - Returns: What it printed, as JSON.
    func python(_ user: User, _ text: String) throws -> JSONValue {
        let prelude = """
            import array, json, os, socket, stat, sys
            control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); control.connect(os.environ["UNLEARND_SOCKET"])
            lines = control.makefile("rb"); hello = json.loads(lines.readline())["params"]; count = 0
            def call(method, params):
                global count
                count += 1
                control.sendall(json.dumps({"jsonrpc": "2.0", "id": count, "method": method, "params": params}).encode() + b"\\n")
                while True:
                    line = json.loads(lines.readline())
                    if line.get("id") == count: return line
            call("session.hello", {"protocol": 1, "client": {"name": "t", "version": "1"}})
            def send(token, index, descriptors):
                peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); peer.connect(hello["fd_socket"])
                peer.sendmsg([json.dumps({"token": token, "index": index}).encode()],
                             [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])
                return json.loads(peer.recv(65536))
            def kind(answer): return answer.get("error", {}).get("data", {}).get("kind")

            """
        let script = try write(
            prelude + text + "\n", "\(home(user))/\(UInt32.random(in: 0 ... .max)).py", by: user)
        let output = try run(user, "/usr/bin/python3", [script])
        guard output.status == 0 else { throw TestFailure(output.stderr) }
        return try output.json
    }

    /// Refusals in the audit log of a user, as `method kind`.
    func refusals(of user: User) throws -> Set<String> {
        let rows = try daemon.ctl(["audit", "log", "--json"]).json.arrayValue ?? []
        return Set(
            rows.filter { $0["action"] == "access.refused" && $0["actor"] == .integer(Int64(uid(user))) }.map
            {
                "\($0["body"]?["method"]?.stringValue ?? "") \($0["body"]?["kind"]?.stringValue ?? "")"
            })
    }
}
