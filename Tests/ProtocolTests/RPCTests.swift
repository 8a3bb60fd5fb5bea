// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

@Suite struct `RPC envelopes` {
    @Test func `are one line each`() throws {
        let request = RPCMessage.request(id: .number(4), method: "job.show", params: ["job": "a\nb"])
        #expect(request.filter { $0 == 0x0A }.count == 1)
        #expect(request.last == 0x0A)
        let value = try StrictJSON.parse(Array(request.dropLast()))
        #expect(value == ["jsonrpc": "2.0", "id": 4, "method": "job.show", "params": ["job": "a\nb"]])
    }

    @Test func `accept whole numbers and short strings as ids`() {
        #expect(RequestID(.integer(0)) == .number(0))
        #expect(RequestID(.integer(1 << 53)) == .number(1 << 53))
        #expect(RequestID(.string(String(repeating: "a", count: 64))) != nil)
        for value: JSONValue in [
            -1, 1.5, nil, true, [], .string(String(repeating: "a", count: 65)), .integer(1 << 54),
        ] {
            #expect(RequestID(value) == nil)
        }
    }

    @Test(arguments: RPCError.Kind.allCases) func `carry every kind of error there and back`(
        _ kind: RPCError.Kind
    ) throws {
        let error = RPCError(kind, "m", hint: "h", field: "f", retryAfter: 5)
        let line = RPCMessage.failure(id: .string("x"), error)
        let value = try StrictJSON.parse(Array(line.dropLast()))
        #expect(value["error"]?["code"]?.integerValue == Int64(kind.code))
        #expect(value["error"]?["data"]?["retryable"]?.boolValue == kind.isRetryable)
        #expect(try #require(value["error"]).decode(RPCError.self, allowUnknown: true) == error)
    }

    @Test func `give every kind of error a number of its own`() {
        #expect(Set(RPCError.Kind.allCases.map(\.code)).count == RPCError.Kind.allCases.count)
    }

    @Test func `read an error of a kind that came later by its number`() throws {
        let value: JSONValue = ["code": -32020, "message": "m", "data": ["kind": "vanished"]]
        #expect(try value.decode(RPCError.self, allowUnknown: true).kind == .notFound)
        let unknown: JSONValue = ["code": -1, "message": "m"]
        #expect(try unknown.decode(RPCError.self, allowUnknown: true).kind == .internal)
    }

    private static let statuses: [(RPCError.Kind, Int32)] = [
        (.invalidParams, 64), (.badInput, 65), (.internal, 70), (.storageFull, 74), (.integrity, 74),
        (.queueFull, 75), (.shuttingDown, 75), (.parseError, 76), (.methodNotFound, 76),
        (.permissionDenied, 77),
        (.notFound, 5), (.gone, 5), (.conflict, 6), (.insufficientMemory, 6),
    ]

    @Test(arguments: statuses)
    func `have the exit statuses that are promised`(_ kind: RPCError.Kind, _ status: Int32) {
        #expect(kind.exitCode.rawValue == status)
    }
}

@Suite struct `Small values` {
    @Test(arguments: [("7", 7, DependencyCondition.ok), ("7:any", 7, .any), ("12:notok", 12, .notok)])
    func `read dependencies`(_ text: String, _ job: Int, _ condition: DependencyCondition) {
        #expect(Dependency(text) == Dependency(job: job, condition: condition))
    }

    @Test(arguments: ["", "0", "-1", "7:", ":ok", "7:maybe", "7:ok:ok", "x"])
    func `refuse what is no dependency`(_ text: String) { #expect(Dependency(text) == nil) }

    @Test(arguments: ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.250Z", "2026-01-31T14:00:00+02:00"])
    func `read times`(_ text: String) throws {
        let time = try #require(Timestamp(text))
        #expect(time.milliseconds / 1000 == 1_769_860_800)
    }

    @Test(arguments: [0, 1, 123, 250, 499, 500, 501, 999])
    func `bring times back to the millisecond`(_ fraction: Int64) {
        let time = Timestamp(milliseconds: 1_700_000_000_000 + fraction)
        #expect(Timestamp(time.description) == time)
    }

    @Test func `choose places by user and environment`() {
        let user = StandardPaths(
            environment: ["HOME": "/home/a", "XDG_RUNTIME_DIR": "/run/user/1"], isRoot: false)
        #expect(user.socket == "/run/user/1/unlearnd.sock")
        #expect(user.stateDirectory == "/home/a/.local/state/unlearnd")
        let bare = StandardPaths(
            environment: ["HOME": "/home/a", "XDG_RUNTIME_DIR": "relative"], isRoot: false)
        #expect(bare.socket == "/home/a/.local/state/unlearnd/unlearnd.sock")
        let root = StandardPaths(environment: [:], isRoot: true)
        #expect(root.socket == "/run/unlearnd/unlearnd.sock")
        #expect(StandardPaths(environment: ["UNLEARND_SOCKET": "/x"], isRoot: true).socket == "/x")
    }
}
