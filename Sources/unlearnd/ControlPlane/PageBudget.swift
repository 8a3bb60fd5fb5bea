// SPDX-License-Identifier: Apache-2.0

import Protocol

/// How much of a list still fits in one page: so many entries, and so many bytes.
struct PageBudget {
    private var entries: Int
    private var bytes = ModelPage.bytes

    /// A page of the length that a client asked for, within what a page may have.
    init(limit: Int?) { entries = Self.entries(limit) }

    /// How many entries a page of the length asked for has at most.
    static func entries(_ limit: Int?) -> Int { max(1, min(limit ?? ModelPage.most, ModelPage.most)) }

    /// The most bytes that a text can have as JSON.
    static func size(_ text: String?) -> Int { 6 * (text?.utf8.count ?? 0) }

    /// Takes an entry of at most so many bytes in, or says that the page is full. The first always fits.
    mutating func takes(_ size: Int) -> Bool {
        guard entries > 0, bytes > 0 else { return false }
        entries -= 1
        bytes -= size
        return true
    }
}
