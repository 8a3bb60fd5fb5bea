// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A low-rank adapter as PEFT saves it: `adapter_config.json` and `adapter_model.safetensors`.
///
/// Understood are LoRA's A and B of linear, Conv1D and embedding modules, rsLoRA, `fan_in_fan_out`, and patterns of
/// ranks and alphas. What changes weights in another way (DoRA, biases, whole modules, initialisations that
/// alter the base) is refused by name.
package struct LowRankAdapter: Sendable {
    /// One module's pair of matrices; its weight changes by scale · B · A, or the transpose of that.
    struct Module: Sendable {
        /// As PEFT names it in the base model.
        var name: String
        /// (rank, in).
        var a: SafetensorsHeader.Tensor
        /// (out, rank).
        var b: SafetensorsHeader.Tensor
        var rank: Int
        var scale: Double
        /// Whether the weight is stored as (in, out).
        var isTransposed: Bool

        /// The shape of the weight that belongs to it.
        var shape: [Int] { isTransposed ? [a.shape[1], b.shape[0]] : [b.shape[0], a.shape[1]] }
    }

    /// The name that PEFT gives the file with the settings.
    package static let configurationName = "adapter_config.json"
    /// The name that PEFT gives the file with the matrices.
    package static let weightsName = "adapter_model.safetensors"
    private static let prefix = "base_model.model."

    let modules: [Module]
    let file: TensorFile
    /// What the adapter is, for the record: hashes of its two files.
    package let digests: [String: Digest]

    /// Opens an adapter.
    ///
    /// - Throws: ``EngineError``: `.unsupportedModel` for what is not understood, `.tensorMismatch` for tensors that
    ///   do not belong together; `CheckpointError` for a file that cannot be read.
    package init(configuration: ImportFile, weights: ImportFile) throws {
        let text = try TensorFile.contents(of: configuration, limit: 16 << 20)
        let settings = try Settings(text)
        file = try TensorFile(weights)
        var hash = ContentHash()
        text.withUnsafeBytes { hash.update($0) }
        digests = [Self.configurationName: hash.finish(), Self.weightsName: try file.digest()]

        var pairs: [String: (a: SafetensorsHeader.Tensor?, b: SafetensorsHeader.Tensor?, embeds: Bool)] = [:]
        for tensor in file.header.tensors {
            guard let part = Part(tensor.name) else {
                throw Self.unsupported("the tensor \(tensor.name), which is no part of LoRA's A and B")
            }
            guard tensor.shape.count == 2, !tensor.shape.contains(0), tensor.dtype.isFloating,
                tensor.dtype.bits >= 16
            else {
                throw Self.mismatch(
                    "\(tensor.name) is \(tensor.dtype.rawValue) of shape \(tensor.shape), not a matrix of F16, BF16, F32 or F64"
                )
            }
            var pair = pairs[part.module] ?? (nil, nil, part.embeds)
            if part.isA { pair.a = tensor } else { pair.b = tensor }
            pairs[part.module] = pair
        }
        guard !pairs.isEmpty else { throw Self.mismatch("it has no tensors") }
        modules = try pairs.sorted { $0.key < $1.key }.map { name, pair in
            guard let a = pair.a, let b = pair.b else {
                throw Self.mismatch("\(name) has only one of the matrices A and B")
            }
            let rank = settings.rank(of: name)
            guard a.shape[0] == rank, b.shape[1] == rank else {
                throw Self.mismatch(
                    "\(name) has A of shape \(a.shape) and B of shape \(b.shape), which are not of rank \(rank)"
                )
            }
            return Module(
                name: name, a: a, b: b, rank: rank, scale: settings.scale(of: name, rank: rank),
                isTransposed: settings.isTransposed || pair.embeds)
        }
    }

    /// What a tensor's name says.
    private struct Part {
        var module: String
        var isA: Bool
        var embeds: Bool

        init?(_ name: String) {
            for (suffix, isA, embeds) in [
                (".lora_A.weight", true, false), (".lora_B.weight", false, false),
                (".lora_embedding_A", true, true), (".lora_embedding_B", false, true),
            ] where name.hasSuffix(suffix) {
                let module = name.dropLast(suffix.count)
                self.module = String(
                    module.hasPrefix(LowRankAdapter.prefix)
                        ? module.dropFirst(LowRankAdapter.prefix.count) : module)
                self.isA = isA
                self.embeds = embeds
                return
            }
            return nil
        }
    }

    /// The members of `adapter_config.json` that decide the arithmetic.
    private struct Settings {
        var rank: Int
        var alpha: Double
        var isRankStabilized: Bool
        var isTransposed: Bool
        var ranks: [(pattern: Pattern, rank: Int)] = []
        var alphas: [(pattern: Pattern, alpha: Double)] = []

        init(_ text: [UInt8]) throws {
            let name = LowRankAdapter.configurationName
            guard let json = try? StrictJSON.parse(text), case .object = json else {
                throw LowRankAdapter.mismatch("\(name) is not a JSON object")
            }
            let type = json["peft_type"]?.stringValue ?? "LORA"
            guard type == "LORA" else { throw LowRankAdapter.unsupported("the type \(type)") }
            // Each of these alters weights in a way that A and B alone do not tell.
            for key in [
                "use_dora", "use_qalora", "use_bdlora", "lora_bias", "modules_to_save", "layer_replication",
                "target_parameters", "trainable_token_indices", "alora_invocation_tokens", "megatron_config",
            ] {
                switch json[key] {
                case nil, .null, .bool(false), .array([]): continue
                default: throw LowRankAdapter.unsupported(key)
                }
            }
            if let bias = json["bias"]?.stringValue, bias != "none" {
                throw LowRankAdapter.unsupported("bias “\(bias)”")
            }
            if let start = json["init_lora_weights"]?.stringValue?.lowercased(),
                !["gaussian", "eva", "orthogonal", "true", "false"].contains(start)
            {
                throw LowRankAdapter.unsupported("init_lora_weights “\(start)”, which alters the base")
            }
            guard let rank = json["r"]?.integerValue, (1...65_536).contains(rank),
                let alpha = json["lora_alpha"]?.doubleValue, alpha.isFinite
            else { throw LowRankAdapter.mismatch("\(name) has no r from 1 to 65536 or no lora_alpha") }
            self.rank = Int(rank)
            self.alpha = alpha
            isRankStabilized = json["use_rslora"]?.boolValue ?? false
            isTransposed = json["fan_in_fan_out"]?.boolValue ?? false
            for member in json["rank_pattern"]?.objectValue?.members ?? [] {
                guard let rank = member.value.integerValue, (1...65_536).contains(rank) else {
                    throw LowRankAdapter.mismatch("rank_pattern of \(member.key) is no rank from 1 to 65536")
                }
                ranks.append((try Pattern(member.key), Int(rank)))
            }
            for member in json["alpha_pattern"]?.objectValue?.members ?? [] {
                guard let alpha = member.value.doubleValue, alpha.isFinite else {
                    throw LowRankAdapter.mismatch("alpha_pattern of \(member.key) is no number")
                }
                alphas.append((try Pattern(member.key), alpha))
            }
        }

        func rank(of module: String) -> Int { ranks.first { $0.pattern.matches(module) }?.rank ?? rank }

        func scale(of module: String, rank: Int) -> Double {
            let alpha = alphas.first { $0.pattern.matches(module) }?.alpha ?? alpha
            return alpha / (isRankStabilized ? Double(rank).squareRoot() : Double(rank))
        }
    }

    /// A key of `rank_pattern` or `alpha_pattern`: the end of a module's name from a dot on, or with `^` all of it.
    ///
    /// PEFT takes keys for regular expressions. Those that it makes itself are names; others are refused.
    private struct Pattern {
        private let name: String
        private let isWhole: Bool

        init(_ key: String) throws {
            isWhole = key.hasPrefix("^")
            let text = String(isWhole ? key.dropFirst() : key[...]).replacing("\\.", with: ".")
            guard !text.isEmpty, text.utf8.count <= 4096,
                text.allSatisfy({ $0.isLetter || $0.isNumber || "_.-".contains($0) })
            else { throw LowRankAdapter.unsupported("the regular expression “\(key)” in a pattern") }
            name = text
        }

        func matches(_ module: String) -> Bool {
            module == name || !isWhole && module.hasSuffix("." + name)
        }
    }

    private static func unsupported(_ what: String) -> EngineError {
        EngineError(
            .unsupportedModel, "the adapter uses \(what)",
            hint: "Merge it into its base with PEFT and import the result; give that with --finetuned.")
    }

    static func mismatch(_ message: String) -> EngineError {
        EngineError(
            .tensorMismatch, "the adapter cannot be used: \(message)",
            hint: "Give the directory that PEFT's save_pretrained made for this model.")
    }
}
