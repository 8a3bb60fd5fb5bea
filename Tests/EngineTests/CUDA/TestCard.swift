// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Synchronization
import TestSupport

/// The card of the tests: a real one where there is one, else one that the processor plays.
enum TestCard {
    /// Whether there is one; what it is, or why there is none, is printed.
    static let isThere: Bool = {
        do {
            print("the card of the tests: \(try open().description)")
            return true
        } catch {
            print("tests of the card are skipped: \(error)")
            return false
        }
    }()

    /// Whether the processor can play one.
    static var canBePlayed: Bool { CardEmulator.isThere }

    private static let memory = 8 << 30
    private static let shared = Mutex<CUDACard?>(nil)
    /// Why there is no real one.
    private static let fault: EngineError? = {
        do throws(EngineError) {
            _ = try CUDACard()
            return nil
        } catch {
            print("no real card: \(error)")
            return error
        }
    }()

    /// The card of all tests, whose kernels are compiled once.
    static func open() throws -> CUDACard {
        try shared.withLock { shared in
            setenv("CUDA_HOST_MEMORY", "\(memory)", 1)
            let card =
                try shared ?? (fault == nil ? CUDACard() : CUDACard(folders: CardEmulator.folder))
            card.logitBudget = 1 << 28
            shared = card
            return card
        }
    }

    /// A card that the processor plays, with so much memory, for nobody else: what the shared one holds is given back.
    static func open(memory: Int) throws -> CUDACard {
        shared.withLock { $0 = nil }
        setenv("CUDA_HOST_MEMORY", "\(memory)", 1)
        return try CUDACard(folders: CardEmulator.folder)
    }
}
