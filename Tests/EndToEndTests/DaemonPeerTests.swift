// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol
import Testing
import unlearnd

/// What other users may do, which a test that runs as one user cannot try over the socket.
struct DaemonPeerTests {
    @Test func `a user's daemon serves that user and root, nobody else`() {
        let rules = RoleRules(owner: 1000, isService: false, operatorGroup: 50)
        #expect(rules.role(uid: 1000, groups: [1000]) == .admin)
        #expect(rules.role(uid: 0, groups: [0]) == .admin)
        #expect(rules.role(uid: 1001, groups: [1001, 50, 1000]) == nil)
    }

    @Test func `a service's operators are the members of its group`() {
        let rules = RoleRules(owner: 900, isService: true, operatorGroup: 50)
        #expect(rules.role(uid: 0, groups: [0]) == .admin)
        #expect(rules.role(uid: 900, groups: [900]) == .admin)
        #expect(rules.role(uid: 1001, groups: [1001, 50]) == .operator_)
        #expect(rules.role(uid: 1002, groups: [1002]) == .viewer)
        #expect(
            RoleRules(owner: 900, isService: true, operatorGroup: nil).role(uid: 1001, groups: [50])
                == .viewer)
    }

    @Test func `the configuration gives roles to users and groups, a user's before a group's`() throws {
        let grants = RoleGrants(
            users: [.init(key: "viewer_users", role: .viewer, names: ["web"])],
            groups: [
                .init(key: "admin_groups", role: .admin, names: ["privacy"]),
                .init(key: "viewer_groups", role: .viewer, names: ["audit"]),
            ])
        let numbers: [String: UInt32] = ["web": 1001, "privacy": 60, "audit": 61]
        let rules = RoleRules(
            owner: 900, isService: true, operatorGroup: 50, users: try grants.users { numbers[$0] },
            groups: try grants.groups { numbers[$0] })
        #expect(rules.role(uid: 1001, groups: [1001, 50]) == .viewer)
        #expect(rules.role(uid: 1001, groups: [60]) == .viewer)
        #expect(rules.role(uid: 1002, groups: [50, 60]) == .admin)
        #expect(rules.role(uid: 1002, groups: [60, 61]) == .admin)
        #expect(rules.role(uid: 1002, groups: [50, 61]) == .viewer)
        #expect(rules.role(uid: 1002, groups: [50]) == .operator_)
        #expect(rules.role(uid: 0, groups: [61]) == .admin)
        #expect(rules.role(uid: 900, groups: [61]) == .admin)
        #expect(throws: (any Error).self) { try grants.users { _ in nil } }
        #expect(throws: (any Error).self) { try grants.groups { _ in 7 } }
        #expect(throws: (any Error).self) { try grants.users { _ in 0 } }
    }

    @Test func `viewers change nothing`() {
        for method in Method.allCases {
            #expect(method.mutates == (method.role > .viewer), "\(method.rawValue)")
        }
    }

    @Test func `a transfer belongs to the user who opened it`() async throws {
        let table = TransferTable()
        let (name, token) = try table.open(TransferOpenParams(direction: .import, files: ["a"]), uid: 1000)
        let descriptor = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
        defer { close(descriptor) }
        let packet = DescriptorPacket(token: token, index: 0)
        #expect(throws: RPCError.self) { try table.accept(packet, descriptor, uid: 1001) }
        #expect(throws: RPCError.self) { try table.accept(packet, descriptor, uid: 0) }
        let owned = dup(descriptor)
        #expect(try table.accept(packet, owned, uid: 1000) == 1)
        await #expect(throws: RPCError.self) {
            try await table.take(name, peer: Peer(uid: 1001, gid: 0, pid: 1, role: .admin))
        }
        let taken = try await table.take(name, peer: Peer(uid: 1000, gid: 0, pid: 1, role: .operator_))
        #expect(taken.files == ["a"])
        #expect(taken.descriptors == [owned])
        close(owned)
        await #expect(throws: RPCError.self) {
            try await table.take(name, peer: Peer(uid: 1000, gid: 0, pid: 1, role: .operator_))
        }
    }

    @Test func `unclaimed transfers are closed, and there is a limit to what is open`() throws {
        var limits = TransferTable.Limits()
        limits.patience = .zero
        let brief = TransferTable(limits: limits)
        let (_, token) = try brief.open(TransferOpenParams(direction: .import, files: ["a"]), uid: 1)
        let descriptor = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
        #expect(try brief.accept(DescriptorPacket(token: token, index: 0), descriptor, uid: 1) == 1)
        brief.expire()
        #expect(throws: RPCError.self) {
            try brief.accept(DescriptorPacket(token: token, index: 0), 0, uid: 1)
        }

        limits.patience = .seconds(600)
        limits.descriptors = 10
        limits.files = 8
        let small = TransferTable(limits: limits)
        func announce(_ count: Int) throws -> String {
            try small.open(
                TransferOpenParams(direction: .export, files: (0..<count).map { "f\($0)" }), uid: 1
            ).transfer
        }
        #expect(throws: RPCError.self) { try announce(9) }
        #expect(throws: RPCError.self) { try announce(0) }
        _ = try announce(8)
        #expect(throws: RPCError.self) { try announce(3) }
        _ = try announce(2)
    }
}
