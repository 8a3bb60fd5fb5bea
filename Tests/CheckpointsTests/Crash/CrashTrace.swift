// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol

/// Everything that a run did to the disk, from which each state that a loss of power could leave can be made.
///
/// The rules are those of POSIX and no kinder: bytes last once their file was synchronised, a name once its directory
/// was; whatever was not may be there or not, each change for itself and in any order.
struct CrashTrace {
    /// Where the store is.
    static let root = "/store"

    var start: SimulatedDisk
    var events: [SimulatedFileSystem.Event]
    var known: Set<Digest>
    /// Whether it is a backup's directory.
    var isBackup = false
    /// The master keys that an encrypted store has in the run.
    var masters: [MasterKey] = []

    /// The positions of the synchronisations that made something durable.
    var synchronizations: [Int] {
        var pending: Set<Int> = []
        return events.indices.filter { index in
            switch events[index] {
            case .change(let change): pending.formUnion(change.nodes)
            case .synchronize(let node): return pending.remove(node) != nil
            case .synchronizeAll:
                defer { pending = [] }
                return !pending.isEmpty
            case .promise: break
            }
            return false
        }
    }

    /// A trace of the same run by a program that lacks one synchronisation.
    func without(_ synchronization: Int) -> CrashTrace {
        var changed = self
        changed.events.remove(at: synchronization)
        return changed
    }

    /// What `examine` found in the first bad state, and how many states were looked at.
    struct Outcome {
        var states = 0
        var violation: String?
    }

    /// Cuts the power after each event and looks at the states that may be left.
    ///
    /// - Parameters:
    ///   - range: After which events.
    ///   - thorough: With random choices beside the plain ones.
    func examine(after range: Range<Int>, thorough: Bool) -> Outcome {
        var outcome = Outcome()
        var promises = Promises()
        // Changes that can no longer be lost, and those that can, in order.
        var changes: [(change: SimulatedDisk.Change, durable: Bool)] = []
        var random = TestRandom(7)
        for (index, event) in events.enumerated() {
            switch event {
            case .promise(let promise): promises.take(promise)
            case .change(let change): changes.append((change, change.nodes.isEmpty))
            case .synchronize(let node):
                for position in changes.indices where changes[position].change.nodes.contains(node) {
                    changes[position].durable = true
                }
            case .synchronizeAll: for position in changes.indices { changes[position].durable = true }
            }
            guard range.contains(index) else { continue }
            let pending = changes.indices.filter { !changes[$0].durable }
            for kept in Self.choices(pending, thorough, &random) {
                var disk = start
                for (position, entry) in changes.enumerated() where entry.durable || kept.contains(position) {
                    disk.apply(entry.change)
                }
                outcome.states += 1
                let violation =
                    isBackup
                    ? promises.backupViolation(SimulatedFileSystem(disk), root: Self.root)
                    : promises.violation(disk, known: known, masters: masters)
                if let violation {
                    outcome.violation =
                        "after event \(index), with \(kept.sorted()) of \(pending): \(violation)"
                    return outcome
                }
            }
        }
        return outcome
    }

    /// Which of the changes that can be lost arrive: none, all, all before or all but each of the last, each of them
    /// alone, and random ones.
    private static func choices(
        _ pending: [Int], _ thorough: Bool, _ random: inout TestRandom
    ) -> Set<Set<Int>> {
        let all = Set(pending)
        var choices: Set<Set<Int>> = [[], all]
        for (offset, position) in pending.enumerated().suffix(thorough ? 24 : 12) {
            choices.insert(all.subtracting([position]))
            choices.insert([position])
            if thorough { choices.insert(Set(pending[..<offset])) }
        }
        if thorough {
            for _ in 0..<24 { choices.insert(all.filter { _ in Bool.random(using: &random) }) }
        }
        return choices
    }
}
