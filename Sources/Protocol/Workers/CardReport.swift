// SPDX-License-Identifier: Apache-2.0

/// `system.card`: the card that jobs with the device `cuda` compute on, or why there is none. The daemon, which opens none
/// itself, asks the worker's program (`unlearnd-worker card`).
package struct CardReport: Codable, Hashable, Sendable {
    /// The card's name; absent where there is none.
    package var name: String?
    /// Its memory, and how much of that nobody uses now, bytes.
    package var memory: Int64?
    package var free: Int64?
    /// What the bits of a result depend on: card and versions.
    package var description: String?
    /// Why there is none.
    package var fault: JobFailure?

    /// A card.
    package init(name: String, memory: Int64, free: Int64, description: String) {
        self.name = name
        self.memory = memory
        self.free = free
        self.description = description
    }

    /// None, and why.
    package init(fault: JobFailure) { self.fault = fault }
}
