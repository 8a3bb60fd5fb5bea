// SPDX-License-Identifier: Apache-2.0

import Protocol
import Synchronization

/// A Hugging Face `tokenizer.json` of the BPE kind, with the same ids as the `tokenizers` library.
///
/// Safe to use from many threads; encoding shares one cache of known words when it is free.
package final class Tokenizer: Sendable {
    /// The id that ends an answer: of `eos_token` in `tokenizer_config.json`, else the first `eos_token_id` of
    /// `config.json`; `nil` when neither names one.
    package let eosID: Int32?
    /// The id that begins a sequence: of `bos_token` in `tokenizer_config.json`, else the first token that the
    /// post-processor puts before a text.
    package let bosID: Int32?
    /// The special tokens that the post-processor puts before a text.
    package let leadingSpecialTokens: [Int32]
    /// The special tokens that the post-processor puts after a text.
    package let trailingSpecialTokens: [Int32]
    /// One more than the largest id. A model's embedding may have more rows.
    package let vocabularySize: Int

    private let rawTokens: AddedTokenMatcher
    private let normalizedTokens: AddedTokenMatcher
    private let normalizer: Normalizer?
    private let preTokenizer: PreTokenizer?
    private let model: BytePairModel
    private let decoder: TokenDecoder?
    /// The text of each id as the file writes it; empty for ids without a token.
    private let texts: [String]
    private let specials: Set<Int32>
    private let addedIDs: [(content: String, id: Int32)]
    private let session = Mutex(TokenizerSession())

    /// - Parameters:
    ///   - tokenizerJSON: The bytes of `tokenizer.json`.
    ///   - configJSON: The bytes of `tokenizer_config.json`, if there is one.
    ///   - modelConfigJSON: The bytes of `config.json`, if there is one.
    /// - Throws: `invalid` for a file that breaks its format, `unsupported` for a part that is not implemented
    ///   (naming it).
    package init(
        tokenizerJSON: [UInt8], configJSON: [UInt8]? = nil, modelConfigJSON: [UInt8]? = nil
    ) throws(TokenizerError) {
        let root = try Self.parse(tokenizerJSON, "tokenizer.json")
        let modelFields = try root.fields("model")
        // Files older than the `type` member hold BPE when they hold merges.
        let type =
            try modelFields.optionalString("type")
            ?? (modelFields.object["merges"] == nil ? "unnamed" : "BPE")
        guard type == "BPE" else {
            throw .unsupported("tokenizer.json holds a model of type \(type)", supported: "BPE")
        }
        normalizer = root.optional("normalizer") == nil ? nil : try Normalizer(root.fields("normalizer"))
        let preTokenizer =
            root.optional("pre_tokenizer") == nil
            ? nil : try PreTokenizer(root.fields("pre_tokenizer"))
        self.preTokenizer = preTokenizer
        decoder = root.optional("decoder") == nil ? nil : try TokenDecoder(root.fields("decoder"))
        let model = try BytePairModel(modelFields, byteLevel: preTokenizer?.isByteLevel ?? false)
        self.model = model
        let post =
            root.optional("post_processor") == nil
            ? PostProcessor() : try PostProcessor(root.fields("post_processor"))
        leadingSpecialTokens = post.leading
        trailingSpecialTokens = post.trailing

        var added: [AddedToken] = []
        if root.optional("added_tokens") != nil {
            for (index, value) in try root.array("added_tokens").enumerated() {
                let token = try AddedToken(
                    TokenizerFields(value, at: "tokenizer.json: added_tokens[\(index)]"))
                guard token.id <= BytePairModel.largestID, model.id(of: token.content) ?? token.id == token.id
                else {
                    throw .invalid(
                        "tokenizer.json: added_tokens[\(index)].id is not the id of “\(token.content)”")
                }
                added.append(token)
            }
        }
        specials = Set(added.lazy.filter(\.isSpecial).map(\.id))
        addedIDs = added.map { ($0.content, $0.id) }
        rawTokens = AddedTokenMatcher(added.filter { !$0.isNormalized }.map { ($0, Array($0.content.utf8)) })
        let normalizer = normalizer
        normalizedTokens = AddedTokenMatcher(
            added.filter(\.isNormalized).map { token in
                let bytes = Array(token.content.utf8)
                return (token, normalizer?.apply(to: bytes) ?? bytes)
            })

        let entries = model.entries + added.map { ($0.content, $0.id) }
        vocabularySize = Int(entries.lazy.map(\.id).max() ?? -1) + 1
        var texts = [String](repeating: "", count: vocabularySize)
        for (token, id) in entries { texts[Int(id)] = token }
        self.texts = texts
        for id in post.leading + post.trailing where Int(id) >= vocabularySize {
            throw .invalid("tokenizer.json: post_processor adds the id \(id), which is no token's")
        }
        func find(_ name: String) -> Int32? {
            added.first { $0.content.utf8.elementsEqual(name.utf8) }?.id ?? model.id(of: name)
        }
        eosID = try Self.endOfSequence(configJSON, modelConfigJSON, vocabularySize, find: find)
        bosID = try Self.named("bos_token", configJSON, find: find) ?? post.leading.first
    }

    private static func parse(_ bytes: [UInt8], _ name: String) throws(TokenizerError) -> TokenizerFields {
        let value: JSONValue
        do { value = try StrictJSON.parse(bytes) } catch {
            throw .invalid("\(name) is not JSON: \(error)")
        }
        return try TokenizerFields(value, at: "\(name):")
    }

    private static func endOfSequence(
        _ configJSON: [UInt8]?, _ modelConfigJSON: [UInt8]?, _ vocabularySize: Int, find: (String) -> Int32?
    ) throws(TokenizerError) -> Int32? {
        if let id = try named("eos_token", configJSON, find: find) { return id }
        guard let modelConfigJSON else { return nil }
        let config = try parse(modelConfigJSON, "config.json")
        var value = config.optional("eos_token_id")
        if case .array(let ids)? = value { value = ids.first }
        guard let value else { return nil }
        guard case .integer(let number) = value, let id = Int32(exactly: number), id >= 0 else {
            throw config.wrong("eos_token_id", "a token id")
        }
        return id
    }

    /// The id of a token that `tokenizer_config.json` names: by its text, or by an object that holds it.
    private static func named(
        _ key: String, _ configJSON: [UInt8]?, find: (String) -> Int32?
    ) throws(TokenizerError) -> Int32? {
        guard let configJSON else { return nil }
        let config = try parse(configJSON, "tokenizer_config.json")
        guard let token = config.optional(key) else { return nil }
        let name =
            if case .object = token {
                try config.fields(key).string("content")
            } else {
                try config.string(key)
            }
        guard let id = find(name) else {
            throw .invalid("tokenizer_config.json: \(key) “\(name)” is not in tokenizer.json")
        }
        return id
    }

    /// The id of a token that is found in text before words are cut, by its exact text.
    package func addedToken(_ content: String) -> Int32? {
        addedIDs.first { $0.content.utf8.elementsEqual(content.utf8) }?.id
    }

    /// The text of a token as the file writes it; empty for none.
    package func text(of id: Int32?) -> String {
        guard let id, id >= 0, Int(id) < texts.count else { return "" }
        return texts[Int(id)]
    }

    /// A stretch of a text that is put together from words of a template and from somebody's data.
    package struct Stretch: Sendable {
        let text: String
        let isData: Bool

        /// - Parameter isData: Whether the stretch can spell no special token.
        package init(_ text: String, isData: Bool) {
            self.text = text
            self.isData = isData
        }
    }

    /// The ids of the stretches' texts joined to one, without the post-processor's tokens. Special tokens are found
    /// where no part of them is data; added tokens that are not special are found everywhere.
    package func encode(_ stretches: [Stretch]) -> [Int32] {
        var bytes: [UInt8] = []
        var data: [Range<Int>] = []
        for stretch in stretches where !stretch.text.isEmpty {
            let start = bytes.count
            bytes += Array(stretch.text.utf8)
            if stretch.isData { data.append(start..<bytes.count) }
        }
        return encode(bytes, data: data)
    }

    /// The ids of `text`.
    ///
    /// - Parameter addSpecialTokens: Whether the post-processor's tokens stand around them. Special tokens that
    ///   the text itself spells are found either way.
    /// - Complexity: O(*n* log *n*) in the bytes of one word, linear in their number.
    package func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] {
        let body = encode(Array(text.utf8), data: [])
        return addSpecialTokens ? leadingSpecialTokens + body + trailingSpecialTokens : body
    }

    private func encode(_ bytes: [UInt8], data: [Range<Int>]) -> [Int32] {
        let ids = session.withLockIfAvailable { encode(bytes, data, &$0) }
        if let ids { return ids }
        var fresh = TokenizerSession()
        return encode(bytes, data, &fresh)
    }

    private func encode(
        _ text: [UInt8], _ data: [Range<Int>], _ session: inout TokenizerSession
    ) -> [Int32] {
        var ids: [Int32] = []
        for part in rawTokens.split(text, data: data) {
            if let token = part.token {
                ids.append(token)
                continue
            }
            let raw = part.range.count == text.count ? text : Array(text[part.range])
            let normalized = normalizer?.apply(to: raw) ?? raw
            let innerData = normalizedTokens.hasSpecials ? normalizedRanges(data, part.range, raw) : []
            for piece in normalizedTokens.split(normalized, data: innerData) {
                if let token = piece.token {
                    ids.append(token)
                    continue
                }
                let words =
                    piece.range.count == normalized.count ? normalized : Array(normalized[piece.range])
                let startsInput = part.range.lowerBound == 0 && piece.range.lowerBound == 0
                var pieces = Pieces(words, startsInput: startsInput)
                preTokenizer?.apply(to: &pieces)
                var start = 0
                for end in pieces.ends {
                    model.encode(pieces.bytes.span.extracting(start..<end), &session, into: &ids)
                    start = end
                }
            }
        }
        return ids
    }

    /// Where the data of a part lies once it is normalised: as far as what stands before it is then long.
    private func normalizedRanges(_ data: [Range<Int>], _ part: Range<Int>, _ raw: [UInt8]) -> [Range<Int>] {
        data.compactMap { range in
            let inside = range.clamped(to: part)
            guard !inside.isEmpty else { return nil }
            let bounds = [inside.lowerBound, inside.upperBound].map { bound in
                let before = Array(raw[..<(bound - part.lowerBound)])
                return normalizer?.apply(to: before).count ?? before.count
            }
            return bounds[0] < bounds[1] ? bounds[0]..<bounds[1] : nil
        }
    }

    /// The text of `ids`; bytes that are not UTF-8 become U+FFFD, ids without a token nothing.
    ///
    /// - Parameter skipSpecialTokens: Whether special tokens are left out.
    package func decode(_ ids: [Int32], skipSpecialTokens: Bool) -> String {
        var tokens: [[UInt8]] = []
        tokens.reserveCapacity(ids.count)
        for id in ids where id >= 0 && Int(id) < texts.count {
            if skipSpecialTokens && specials.contains(id) { continue }
            tokens.append(Array(texts[Int(id)].utf8))
        }
        guard let decoder else {
            return String(decoding: Array(tokens.joined(separator: [0x20])), as: UTF8.self)
        }
        return String(decoding: Array(decoder.apply(to: tokens).joined()), as: UTF8.self)
    }
}
