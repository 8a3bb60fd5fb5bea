// SPDX-License-Identifier: Apache-2.0

/// Every parameter of a model: its name in checkpoints, its shape, and its place in one flat f32 buffer.
///
/// Shapes are those of the checkpoint, so that loading and writing copy and never transpose. Tied matrices are
/// one parameter. Holds no values.
package struct ParameterTable: Sendable, Hashable {
    /// How a parameter of a new model is filled.
    package enum Initial: Sendable, Hashable {
        case zero
        case one
        /// Normal with mean 0.
        case normal(deviation: Double)
        /// Uniform from −bound to bound.
        case uniform(bound: Double)
    }

    /// One parameter.
    package struct Entry: Sendable, Hashable {
        /// Its name in a checkpoint that was saved with the language-model head.
        package let name: String
        package let shape: [Int]
        /// Its first value in the flat buffer; a multiple of 16, so 64-byte aligned.
        package let offset: Int
        package let count: Int
        package let initial: Initial
        /// Whether it belongs to a low-rank adapter, which no checkpoint of the model has.
        package let isAdapter: Bool
        /// Where its values are in the flat buffer.
        package var range: Range<Int> { offset..<offset + count }
    }

    /// Which tensor of a checkpoint is which parameter.
    package struct Binding: Sendable, Hashable {
        /// The tensor's name in the checkpoint.
        package let tensor: String
        /// Index into ``ParameterTable/entries``.
        package let entry: Int
        /// Whether this is a second copy of a tied parameter: written like the first one, not read.
        package let isAlias: Bool
    }

    /// In the order of the network.
    package private(set) var entries: [Entry] = []
    /// Length of the flat buffer, in values; gaps between parameters are zero and stay zero.
    package private(set) var count = 0
    /// What base models leave away from the beginning of names ("transformer.", "model.").
    let prefix: String
    /// Second names of tied parameters, which a checkpoint may hold as well: name → name.
    let aliases: [String: String]
    /// Other names of parameters: name → name.
    let synonyms: [String: String]
    /// Ends of the names of tensors that are derived from the configuration and never learned.
    let derivedSuffixes: [String]
    private var positions: [String: Int] = [:]

    /// The parameters of a model of this configuration.
    ///
    /// - Throws: ``EngineError`` with `.invalidConfiguration` for sizes beyond reason.
    package init(_ configuration: ModelConfiguration) throws(EngineError) {
        self = try ModelLayout(configuration).table
    }

    init(
        prefix: String, aliases: [String: String], synonyms: [String: String] = [:], derivedSuffixes: [String]
    ) {
        self.prefix = prefix
        self.aliases = aliases
        self.synonyms = synonyms
        self.derivedSuffixes = derivedSuffixes
    }

    /// Adds a parameter and returns its offset.
    mutating func add(
        _ name: String, _ shape: [Int], _ initial: Initial, isAdapter: Bool = false
    ) throws(EngineError) -> Int {
        var size = 1
        for dimension in shape {
            let (product, overflow) = size.multipliedReportingOverflow(by: dimension)
            guard !overflow, product <= 1 << 42 else {
                throw EngineError(
                    .invalidConfiguration, "the tensor \(name) would have the shape \(shape)",
                    hint: "Check the sizes in config.json.")
            }
            size = product
        }
        guard count <= 1 << 42 else {
            throw EngineError(
                .invalidConfiguration, "the model would have more than \(1 << 42) parameters",
                hint: "Check the sizes in config.json.")
        }
        if !isAdapter { positions[name] = entries.count }
        entries.append(
            Entry(
                name: name, shape: shape, offset: count, count: size, initial: initial, isAdapter: isAdapter))
        let offset = count
        count += (size + 15) & ~15
        return offset
    }

    /// The parameter called `name`, or `nil`.
    package subscript(name: String) -> Entry? { positions[name].map { entries[$0] } }

    /// How many values are learned, gaps not counted.
    package var parameterCount: Int { entries.reduce(0) { $0 + $1.count } }

    /// Matches the tensors of a checkpoint with the parameters.
    ///
    /// Derived buffers (attention masks, rotary frequencies) are passed over.
    /// - Parameter tensors: Names and shapes, over all shards.
    /// - Returns: A binding for each parameter, and one for each further copy of a tied one.
    /// - Throws: ``EngineError`` with `.tensorMismatch` naming the tensors that are missing, not part of the model,
    ///   there twice, or of another shape: the first ten, and how many there are.
    package func bind(_ tensors: [(name: String, shape: [Int])]) throws(EngineError) -> [Binding] {
        var bindings: [Binding] = []
        var bound: [Int: String] = [:]
        var seconds: [Int: Int] = [:]
        var faults: [String] = []
        for (name, shape) in tensors {
            if derivedSuffixes.contains(where: name.hasSuffix) { continue }
            let full =
                positions[name] != nil || aliases[name] != nil || synonyms[name] != nil ? name : prefix + name
            let target = aliases[full] ?? synonyms[full] ?? full
            guard let position = positions[target] else {
                faults.append("the checkpoint has the tensor \(name), which is no part of this architecture")
                continue
            }
            let entry = entries[position]
            let isAlias = aliases[full] != nil
            if shape != entry.shape {
                faults.append(
                    "the tensor \(name) has the shape \(shape), but config.json gives it \(entry.shape)")
            } else if !isAlias, let other = bound[position] {
                faults.append("the tensors \(other) and \(name) are the same parameter")
            }
            if isAlias { seconds[position] = bindings.count } else { bound[position] = name }
            bindings.append(Binding(tensor: name, entry: position, isAlias: isAlias))
        }
        // A checkpoint may hold a tied matrix under its second name alone.
        for (position, entry) in entries.enumerated() where bound[position] == nil && !entry.isAdapter {
            if let index = seconds[position] {
                bindings[index] = Binding(tensor: bindings[index].tensor, entry: position, isAlias: false)
            } else {
                faults.append("the checkpoint lacks the tensor \(entry.name) of shape \(entry.shape)")
            }
        }
        if !faults.isEmpty { throw Self.mismatch(faults) }
        return bindings
    }

    private static func mismatch(_ faults: [String]) -> EngineError {
        let named = faults.prefix(10).joined(separator: "; ")
        let more = faults.count > 10 ? "; and \(faults.count - 10) more" : ""
        return EngineError(
            .tensorMismatch, named + more,
            hint: "Check that config.json and the safetensors files belong together.")
    }
}
