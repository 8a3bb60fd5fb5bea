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

    /// Rotary settings in the spelling of transformers 5 (`rope_parameters`) or 4 (`rope_theta`, `rope_scaling`).
    func rotary(size: Int) throws(EngineError) -> RotaryEmbedding {
        let key = isPresent("rope_parameters") ? "rope_parameters" : "rope_scaling"
        var settings = ConfigurationFields(object: JSONObject())
        if let value = value(key) {
            guard let inner = value.objectValue else { throw wrong(key, "must be an object") }
            settings = ConfigurationFields(object: inner)
        }
        let theta = try settings.positive("rope_theta", default: try positive("rope_theta", default: 10000))
        let type = try settings.string(settings.isPresent("rope_type") ? "rope_type" : "type") ?? "default"
        let scaling: RotaryEmbedding.Scaling
        switch type {
        case "default": scaling = .none
        case "linear": scaling = .linear(factor: Double(try settings.positive("factor", default: 1)))
        case "llama3":
            let low = try settings.positive("low_freq_factor", default: 1)
            let high = try settings.positive("high_freq_factor", default: 4)
            guard low < high else {
                throw EngineError(
                    .invalidConfiguration, "low_freq_factor \(low) is not below high_freq_factor \(high)",
                    hint: "Check \(key) in config.json.")
            }
            scaling = .llama3(
                factor: Double(try settings.positive("factor", default: 8)), lowFrequencyFactor: Double(low),
                highFrequencyFactor: Double(high),
                originalContext: Double(try settings.size("original_max_position_embeddings", default: 8192)))
        default:
            throw EngineError(
                .unsupportedModel, "the rotary scaling \(type) is not computed",
                hint: "Supported: default, linear, llama3.")
        }
        return RotaryEmbedding(theta: Double(theta), size: size, scaling: scaling)
    }

    private init(object: JSONObject) { self.object = object }

    private func text(_ value: JSONValue) -> String {
        value.integerValue.map(String.init) ?? value.doubleValue.map { "\($0)" } ?? value.kindName
    }
}
