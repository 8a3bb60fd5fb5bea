// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Synchronization
import TestSupport

/// Cards that the processor plays.
enum EmulatedCard {
    /// Whether tests can have one; a reason is printed where they cannot.
    static var isThere: Bool { CardEmulator.isThere }

    private static let memory = 8 << 30
    private static let shared = Mutex<CUDACard?>(nil)

    /// The card of all tests, whose kernels are compiled once.
    static func open() throws -> CUDACard {
        try shared.withLock { shared in
            setenv("CUDA_HOST_MEMORY", "\(memory)", 1)
            let card = try shared ?? CUDACard(folders: CardEmulator.folder)
            card.logitBudget = 1 << 28
            shared = card
            return card
        }
    }

    /// A card with so much memory, for nobody else: what the shared one holds is given back.
    static func open(memory: Int) throws -> CUDACard {
        shared.withLock { $0 = nil }
        setenv("CUDA_HOST_MEMORY", "\(memory)", 1)
        return try CUDACard(folders: CardEmulator.folder)
    }
}
