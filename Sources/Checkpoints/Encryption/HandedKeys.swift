// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The keys that a daemon has handed to a worker: those of the ring, and one to write with.
///
/// Others may be added later: another worker's, before it writes a byte with it.
package final class HandedKeys: StoreKeys {
    private struct State {
        var keys: [KeyName: VersionKey] = [:]
        var writing: KeyName?
        /// What was waited for in vain.
        var missing: Set<KeyName> = []
    }
    private let state = Mutex(State())
    /// How long a key that is not there yet is waited for, seconds: it may be on its way.
    private let patience: Double

    /// No keys yet.
    package init(patience: Double = 0) { self.patience = patience }

    /// Takes keys as ``KeyRing/handed(_:)`` gives them.
    /// - Parameter writing: The name of the one to write with, in base 64.
    /// - Throws: ``CheckpointError`` `.locked` for anything else.
    package func take(_ text: String, writing: String? = nil) throws {
        guard let keys = KeyTable.bytes(of: text).flatMap(KeyTable.keys)?.keys else {
            throw CheckpointError(.locked, "the keys that were handed over are not in their form")
        }
        let name = writing.flatMap(KeyTable.bytes(of:)).flatMap { KeyName(bytes: $0) }
        guard writing == nil || keys.contains(where: { $0.name == name }) else {
            throw CheckpointError(.locked, "the key to write with was not handed over")
        }
        state.withLock { state in
            for key in keys {
                state.keys[key.name] = key
                state.missing.remove(key.name)
            }
            if let name { state.writing = name }
        }
    }

    package func key(_ name: KeyName) -> VersionKey? {
        var waited = 0.0
        while true {
            let (key, isMissing) = state.withLock { ($0.keys[name], $0.missing.contains(name)) }
            if key != nil || isMissing { return key }
            guard waited < patience else {
                state.withLock { _ = $0.missing.insert(name) }
                return nil
            }
            usleep(10_000)
            waited += 0.01
        }
    }

    package func lend() throws -> VersionKey {
        guard let key = state.withLock({ state in state.writing.flatMap { state.keys[$0] } }) else {
            throw CheckpointError(.locked, "no key was handed over to write with")
        }
        return key
    }

    package func giveBack(_ name: KeyName) {}
}
