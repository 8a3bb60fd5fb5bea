// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Typed reading of a `config.json`: a missing or null field takes its default, a wrong one is named.
struct ConfigurationFields {
    private let object: JSONObject

    init(_ value: JSONValue) throws(EngineError) {
        guard let object = value.objectValue else {
            throw EngineError(
                .invalidConfiguration, "config.json is \(value.kindName), not an object",
                hint: "Import the model again from a sound copy.")
        }
        self.object = object
    }

    private func value(_ key: String) -> JSONValue? {
        guard let value = object[key], !value.isNull else { return nil }
        return value
    }

    private func wrong(_ key: String, _ rule: String) -> EngineError {
        EngineError(
            .invalidConfiguration,
            "\(key) in config.json is \(value(key)?.kindName ?? "missing"), but \(rule)",
            hint: "Check config.json against the model's publisher.")
    }

    func isPresent(_ key: String) -> Bool { value(key) != nil }

    /// Whether the field stands there and says that there is none.
    func isNull(_ key: String) -> Bool { object[key]?.isNull ?? false }

    /// The fields of an object within; `nil` if there is none.
    func fields(_ key: String) throws(EngineError) -> ConfigurationFields? {
        guard let value = value(key) else { return nil }
        guard let inner = value.objectValue else { throw wrong(key, "must be an object") }
        return ConfigurationFields(object: inner)
    }

    /// A positive integer.
    func size(_ key: String, default standard: Int) throws(EngineError) -> Int {
        guard let value = value(key) else { return standard }
        guard let number = value.integerValue, number > 0, number <= Int64(Int32.max) else {
            throw EngineError(
                .invalidConfiguration,
                "\(key) in config.json is \(text(value)), but must be a positive 32-bit integer",
                hint: "Check config.json against the model's publisher.")
        }
        return Int(number)
    }

    /// An integer that may be zero.
    func count(_ key: String, default standard: Int) throws(EngineError) -> Int {
        guard let value = value(key), value.integerValue != 0 else { return isPresent(key) ? 0 : standard }
        return try size(key, default: standard)
    }

    /// A positive finite number, or none where the field is null.
    func optional(_ key: String, default standard: Float?) throws(EngineError) -> Float? {
        guard isPresent(key) else { return isNull(key) ? nil : standard }
        return try positive(key, default: 1)
    }

    /// A finite number.
    func number(_ key: String) throws(EngineError) -> Double? {
        guard let value = value(key) else { return nil }
        guard let number = value.doubleValue, number.isFinite else { throw wrong(key, "must be a number") }
        return number
    }

    /// Positive finite numbers.
    func numbers(_ key: String) throws(EngineError) -> [Double] {
        guard let numbers = value(key)?.arrayValue?.map(\.doubleValue),
            numbers.allSatisfy({ ($0 ?? 0) > 0 && ($0 ?? 0).isFinite })
        else { throw wrong(key, "must be a list of positive numbers") }
        return numbers.compactMap(\.self)
    }

    /// A positive finite number.
    func positive(_ key: String, default standard: Float) throws(EngineError) -> Float {
        guard let value = value(key) else { return standard }
        guard let number = value.doubleValue, number > 0, number.isFinite, Float(number) > 0,
            Float(number).isFinite
        else { throw wrong(key, "must be a positive number") }
        return Float(number)
    }

    func flag(_ key: String, default standard: Bool) throws(EngineError) -> Bool {
        guard let value = value(key) else { return standard }
        guard let flag = value.boolValue else { throw wrong(key, "must be true or false") }
        return flag
    }

    func string(_ key: String) throws(EngineError) -> String? {
        guard let value = value(key) else { return nil }
        guard let text = value.stringValue else { throw wrong(key, "must be a string") }
        return text
    }

    func strings(_ key: String) throws(EngineError) -> [String] {
        guard let value = value(key) else { return [] }
        guard let texts = value.arrayValue?.map(\.stringValue), !texts.contains(nil) else {
            throw wrong(key, "must be a list of strings")
        }
        return texts.compactMap(\.self)
    }

    /// One token id or a list of them.
    func identifiers(_ key: String) throws(EngineError) -> [Int32] {
        guard let value = value(key) else { return [] }
        let identifiers = (value.arrayValue ?? [value]).map { $0.integerValue.flatMap(Int32.init(exactly:)) }
        guard !identifiers.contains(nil) else { throw wrong(key, "must be a token id or a list of them") }
        return identifiers.compactMap(\.self)
    }

    /// The row of the embedding that is padding, counted from the end if negative, as torch does.
    func padding(vocabulary: Int, default standard: Int32?) throws(EngineError) -> Int32? {
        if isNull("pad_token_id") { return nil }
        guard let id = try identifiers("pad_token_id").first ?? standard else { return nil }
        let row = id < 0 ? Int(id) + vocabulary : Int(id)
        return row >= 0 && row < vocabulary ? Int32(row) : nil
    }

    /// Which layers `layer_types` gives a sliding window, if it is there.
    func slidingLayers(_ layers: Int) throws(EngineError) -> [Bool]? {
        guard isPresent("layer_types") else { return nil }
        let types = try strings("layer_types")
        guard types.count == layers else {
            throw EngineError(
                .invalidConfiguration,
                "layer_types in config.json has \(types.count) entries for \(layers) layers",
                hint: "Check config.json against the model's publisher.")
        }
        if let other = types.first(where: { $0 != "full_attention" && $0 != "sliding_attention" }) {
            throw EngineError(
                .unsupportedModel, "layer_types has \(other), which is not computed",
                hint: "Supported: full_attention, sliding_attention.")
        }
        return types.map { $0 == "sliding_attention" }
    }

    /// The type of the stored weights, under its new or its old name.
    func storedType() throws(EngineError) -> String? {
        try string(isPresent("dtype") ? "dtype" : "torch_dtype")
    }

    /// Refuses a choice that the engine does not compute.
    func require(_ key: String, oneOf choices: [String], default standard: String) throws(EngineError) {
        let choice = try string(key) ?? standard
        guard choices.contains(choice) else {
            throw EngineError(
                .unsupportedModel, "\(key) is \(choice), which is not computed for this architecture",
                hint: "Supported: \(choices.joined(separator: ", ")).")
        }
    }

    /// Refuses an option that changes the network.
    func refuse(_ key: String) throws(EngineError) {
        let isSet = try flag(key, default: false)
        guard !isSet else {
            throw EngineError(
                .unsupportedModel, "\(key) is true, which is not computed for this architecture",
                hint: "Only models with \(key) false are supported.")
        }
    }

    func notDivisible(_ key: String, _ value: Int, _ by: String, _ divisor: Int) -> EngineError {
        EngineError(
            .invalidConfiguration, "\(key) \(value) in config.json is no multiple of \(by) \(divisor)",
            hint: "Check config.json against the model's publisher.")
    }

    init(object: JSONObject) { self.object = object }

    private func text(_ value: JSONValue) -> String {
        value.integerValue.map(String.init) ?? value.doubleValue.map { "\($0)" } ?? value.kindName
    }
}
