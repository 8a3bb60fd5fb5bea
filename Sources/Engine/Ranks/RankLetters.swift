// SPDX-License-Identifier: Apache-2.0

/// Short messages that a rank sends, each in memory of its own until it is on its way, and the next one of each other rank.
/// All are three numbers long. For use under one lock.
struct RankLetters {
    /// What a letter says.
    struct Words: Hashable {
        var first: Int
        var second: Int
        var third = 0
    }

    private static let size = MemoryLayout<Words>.stride

    private let transport: any RankTransport
    private let channel: RankChannel
    private var sent: [(transfer: RankTransfer, memory: UnsafeMutablePointer<Words>)] = []
    /// Where letters arrive, one place for each rank.
    private let box: UnsafeMutablePointer<Words>
    private var asked: [Int: RankTransfer] = [:]

    init(_ transport: any RankTransport, on channel: RankChannel) {
        self.transport = transport
        self.channel = channel
        box = .allocate(capacity: transport.count)
        box.initialize(repeating: Words(first: 0, second: 0), count: transport.count)
    }

    /// Gives the memory back; only to be called when nothing is on its way any more.
    func free() { box.deallocate() }

    /// Whether nothing that was sent is still on its way, and nothing is waited for.
    var isIdle: Bool { sent.isEmpty && asked.isEmpty }

    /// Begins to send a letter.
    mutating func send(_ words: Words, to rank: Int) throws {
        let memory = UnsafeMutablePointer<Words>.allocate(capacity: 1)
        memory.initialize(to: words)
        let transfer = try transport.begin(
            on: channel, sends: [(rank, UnsafeRawBufferPointer(start: memory, count: Self.size))],
            receives: [])
        sent.append((transfer, memory))
    }

    /// Begins to wait for the next letter of `rank`.
    mutating func ask(_ rank: Int) throws {
        asked[rank] = try transport.begin(
            on: channel, sends: [],
            receives: [(rank, UnsafeMutableRawBufferPointer(start: box + rank, count: Self.size))])
    }

    /// The letter of `rank` that was waited for, if it has come.
    mutating func take(_ rank: Int) throws -> Words? {
        guard let transfer = asked[rank], try transport.isDone(transfer) else { return nil }
        asked[rank] = nil
        return box[rank]
    }

    /// Gives back the memory of what has been sent.
    mutating func clean() throws {
        guard !sent.isEmpty else { return }
        sent = try sent.filter { letter in
            guard try transport.isDone(letter.transfer) else { return true }
            letter.memory.deallocate()
            return false
        }
    }
}
