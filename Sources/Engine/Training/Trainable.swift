// SPDX-License-Identifier: Apache-2.0

import Protocol

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The parameters that a run changes. The others stay as they are, bit for bit.
///
/// Buffers for gradients and moments are laid out as the parameters are, but only what is trained of them is ever
/// touched: memory that nobody touches takes none.
package struct Trainable: Sendable, Hashable {
    /// Runs of the flat buffer, ascending and apart.
    package let ranges: [Range<Int>]
    private let offsets: Set<Int>

    /// Everything.
    package init(all table: ParameterTable) {
        ranges = [0..<table.count]
        offsets = Set(table.entries.map(\.offset))
    }

    /// The entries for which `isTrained` holds.
    package init(_ table: ParameterTable, where isTrained: (ParameterTable.Entry) -> Bool) {
        var ranges: [Range<Int>] = []
        var offsets: Set<Int> = []
        var wasTrained = false
        for entry in table.entries {
            defer { wasTrained = offsets.contains(entry.offset) }
            guard isTrained(entry) else { continue }
            offsets.insert(entry.offset)
            if wasTrained, let last = ranges.popLast() {
                ranges.append(last.lowerBound..<entry.range.upperBound)
            } else {
                ranges.append(entry.range)
            }
        }
        self.ranges = ranges
        self.offsets = offsets
    }

    /// What `--train-layers`, `--train-tensors` and `--freeze-tensors` leave to train.
    ///
    /// A tensor is trained if it lies in one of the layers, where layers are named, and has a name like one of the
    /// patterns to train, where there are such, and has no name like one to freeze. Patterns are `fnmatch`'s, over
    /// the whole name with or without its prefix ("model.", "transformer."). A tied matrix has both of its names.
    /// - Throws: ``EngineError`` with `.tensorMismatch` for layers that the model lacks, patterns that no tensor
    ///   has, and if nothing is left.
    package init(
        _ table: ParameterTable, layers: LayerSelection? = nil, train: [String] = [], freeze: [String] = []
    ) throws(EngineError) {
        let count = (table.entries.compactMap(\.layer).max() ?? -1) + 1
        if let range = layers?.ranges.first(where: { $0.upperBound >= count }) {
            throw EngineError(
                .tensorMismatch,
                "layer \(range.upperBound) is to be trained, but the model has \(count) layers, from 0",
                hint: "Give --train-layers layers that there are.")
        }
        for (option, patterns) in [("--train-tensors", train), ("--freeze-tensors", freeze)] {
            for pattern in patterns where !table.entries.contains(where: { table.isNamed($0, like: pattern) })
            {
                let example = table.entries.last { $0.layer != nil } ?? table.entries.last
                throw EngineError(
                    .tensorMismatch, "no tensor of the model has a name like “\(pattern)”",
                    hint: "Give \(option) names such as \(example?.name ?? "*").")
            }
        }
        self.init(table) { entry in
            if let layers {
                guard let layer = entry.layer, layers.contains(layer) else { return false }
            }
            if !train.isEmpty {
                guard train.contains(where: { table.isNamed(entry, like: $0) }) else { return false }
            }
            return !freeze.contains { table.isNamed(entry, like: $0) }
        }
        guard !ranges.isEmpty else {
            throw EngineError(
                .tensorMismatch, "nothing is left to train", hint: "Freeze less, or name other layers.")
        }
    }

    /// Whether the parameter at `offset` is trained.
    package func contains(_ offset: Int) -> Bool { offsets.contains(offset) }

    /// How many values are trained, gaps between parameters included.
    package var count: Int { ranges.reduce(0) { $0 + $1.count } }
}

extension ParameterTable.Entry {
    /// The block that the parameter belongs to: the first number in its name.
    package var layer: Int? {
        name.split(separator: ".").lazy.compactMap { part in
            part.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(part) : nil
        }.first
    }
}

extension ParameterTable {
    /// Whether one of the entry's names matches the pattern.
    func isNamed(_ entry: Entry, like pattern: String) -> Bool {
        let names = [entry.name] + aliases.lazy.filter { $0.value == entry.name }.map(\.key)
        return names.contains { name in
            fnmatch(pattern, name, 0) == 0
                || name.hasPrefix(prefix) && fnmatch(pattern, String(name.dropFirst(prefix.count)), 0) == 0
        }
    }
}
