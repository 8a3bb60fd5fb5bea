// SPDX-License-Identifier: Apache-2.0

/// A binary heap of integers, the least one first.
struct MinimumHeap {
    private var items: [UInt64] = []

    /// The least one.
    var least: UInt64? { items.first }

    mutating func push(_ item: UInt64) {
        var index = items.count
        items.append(item)
        while index > 0 {
            let parent = (index - 1) / 2
            guard items[parent] > item else { break }
            items[index] = items[parent]
            index = parent
        }
        items[index] = item
    }

    mutating func pop() -> UInt64? {
        guard let least = items.first, let item = items.popLast() else { return nil }
        guard !items.isEmpty else { return least }
        var index = 0
        while true {
            var child = 2 * index + 1
            guard child < items.count else { break }
            if child + 1 < items.count, items[child + 1] < items[child] { child += 1 }
            guard items[child] < item else { break }
            items[index] = items[child]
            index = child
        }
        items[index] = item
        return least
    }
}
