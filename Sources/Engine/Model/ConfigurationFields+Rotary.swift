// SPDX-License-Identifier: Apache-2.0

import Protocol

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension ConfigurationFields {
    /// Rotary settings in the spelling of transformers 5 (`rope_parameters`, by kind of layer where these differ) or
    /// 4 (`rope_theta`, `rope_scaling`, and names of an architecture's own).
    ///
    /// - Parameters:
    ///   - context: The longest row that the configuration allows.
    ///   - group: The kind of layer whose settings are meant.
    /// - Returns: The settings, and the longest row that they serve where that is less than `context`.
    func rotary(
        headSize: Int, context: Int, _ architecture: ModelConfiguration.Architecture, group: String
    ) throws(EngineError) -> (embedding: RotaryEmbedding, context: Int?) {
        let isLocal = group == "sliding_attention"
        let key = isPresent("rope_parameters") ? "rope_parameters" : "rope_scaling"
        // transformers 4 scales the full layers of Gemma 3 alone.
        let isOld = key == "rope_scaling"
        var settings = isOld && isLocal ? nil : try fields(key)
        if let inner = try settings?.fields(group) { settings = inner }
        let found = settings ?? ConfigurationFields(object: JSONObject())

        let family = architecture.family
        let (thetaKey, theta): (String, Float) =
            switch architecture {
            case .gptNeoX: ("rotary_emb_base", family.rotaryTheta)
            case .gemma3 where isLocal: ("rope_local_base_freq", 10000)
            default: ("rope_theta", family.rotaryTheta)
            }
        let shareKey = architecture == .gptNeoX ? "rotary_pct" : "partial_rotary_factor"
        let base = try found.positive("rope_theta", default: try positive(thetaKey, default: theta))
        let share = try found.share(
            "partial_rotary_factor", default: try share(shareKey, default: family.rotaryShare))
        let turned = Int(Double(headSize) * share)
        guard turned > 0, turned.isMultiple(of: 2) else {
            throw EngineError(
                .invalidConfiguration, "\(turned) values of a head of \(headSize) cannot be rotated in pairs",
                hint: "Check head_dim and \(shareKey) in config.json.")
        }
        var embedding = RotaryEmbedding(theta: Double(base), size: turned, scaling: .none)
        switch try found.string(found.isPresent("rope_type") ? "rope_type" : "type") ?? "default" {
        case "default": return (embedding, nil)
        case "linear": embedding.scaling = .linear(factor: Double(try found.positive("factor", default: 1)))
        case "llama3": embedding.scaling = try found.llama3(key, context: context)
        case "longrope", "su",
            "yarn" where architecture == .phi3:
            let original = try size(
                "original_max_position_embeddings",
                default: try found.size(
                    "original_max_position_embeddings", default: architecture == .phi3 ? 4096 : context))
            let factors = try found.numbers("short_factor")
            guard factors.count == turned / 2 else {
                throw EngineError(
                    .invalidConfiguration,
                    "short_factor has \(factors.count) entries for \(turned / 2) frequencies",
                    hint: "Check \(key) in config.json.")
            }
            embedding.scaling = .perFrequency(factors)
            embedding.magnitude = try found.longMagnitude(context: context, original: original)
            // Longer rows would turn by the other list, all of them: a text's logits would jump where it passes the
            // border. What is computed here ends there.
            return (embedding, min(original, context))
        case let type:
            throw EngineError(
                .unsupportedModel, "the rotary scaling \(type) is not computed",
                hint: "Supported: default, linear, llama3, longrope.")
        }
        return (embedding, nil)
    }

    private func share(_ key: String, default standard: Double) throws(EngineError) -> Double {
        guard let share = try number(key) else { return standard }
        guard share > 0, share <= 1 else {
            throw EngineError(
                .invalidConfiguration, "\(key) in config.json is \(share), but is a share of a head",
                hint: "Check config.json against the model's publisher.")
        }
        return share
    }

    private func llama3(_ key: String, context: Int) throws(EngineError) -> RotaryEmbedding.Scaling {
        let low = try positive("low_freq_factor", default: 1)
        let high = try positive("high_freq_factor", default: 4)
        guard low < high else {
            throw EngineError(
                .invalidConfiguration, "low_freq_factor \(low) is not below high_freq_factor \(high)",
                hint: "Check \(key) in config.json.")
        }
        return .llama3(
            factor: Double(try positive("factor", default: 8)), lowFrequencyFactor: Double(low),
            highFrequencyFactor: Double(high),
            originalContext: Double(try size("original_max_position_embeddings", default: context)))
    }

    /// What cosines and sines are multiplied by (Ding et al. 2024, LongRoPE, as transformers derives it).
    private func longMagnitude(context: Int, original: Int) throws(EngineError) -> Float {
        if isPresent("attention_factor") { return try positive("attention_factor", default: 1) }
        let factor = try number("factor") ?? Double(context) / Double(original)
        return factor <= 1 ? 1 : Float((1 + log(factor) / log(Double(original))).squareRoot())
    }
}
