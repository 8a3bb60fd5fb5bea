// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The step that cuts text into words, which merges never cross.
indirect enum PreTokenizer: Sendable {
    case sequence([PreTokenizer])
    case byteLevel(addPrefixSpace: Bool, usePattern: Bool)
    case metaspace(replacement: [UInt8], prepend: MetaspaceScheme, split: Bool)
    case words(WordPattern)
    case split(SplitMatcher, SplitBehavior, invert: Bool)

    init(_ fields: TokenizerFields) throws(TokenizerError) {
        let type = try fields.string("type")
        switch type {
        case "Sequence":
            var steps: [PreTokenizer] = []
            for (index, value) in try fields.array("pretokenizers").enumerated() {
                let place = "\(fields.place).pretokenizers[\(index)]"
                let step = try TokenizerFields(value, at: place)
                guard try step.string("type") != "Sequence" else {
                    throw .unsupported(
                        "\(place) is a sequence in a sequence", supported: "one level of Sequence")
                }
                steps.append(try PreTokenizer(step))
            }
            self = .sequence(steps)
        case "ByteLevel":
            self = .byteLevel(
                addPrefixSpace: try fields.bool("add_prefix_space", default: true),
                usePattern: try fields.bool("use_regex", default: true))
        case "Metaspace":
            self = .metaspace(
                replacement: Array(try fields.string("replacement").utf8),
                prepend: try MetaspaceScheme(fields), split: try fields.bool("split", default: true))
        case "Digits":
            let individual = try fields.bool("individual_digits", default: false)
            self = .split(.numbers, individual ? .isolated : .contiguous, invert: false)
        case "Punctuation":
            let behavior = try SplitBehavior(fields, default: .isolated)
            guard behavior != .removed else { throw Self.removes(fields) }
            self = .split(.punctuation, behavior, invert: false)
        case "Split":
            self = try Self.split(fields)
        default:
            throw .unsupported(
                "\(fields.place) is of type \(type)",
                supported: "ByteLevel, Split, Digits, Punctuation, Metaspace, Sequence")
        }
    }

    private static func split(_ fields: TokenizerFields) throws(TokenizerError) -> PreTokenizer {
        let pattern = try fields.pattern("pattern")
        let behavior = try SplitBehavior(fields, default: nil)
        let invert = try fields.bool("invert", default: false)
        guard pattern.isRegex else {
            guard !pattern.text.isEmpty else { throw fields.wrong("pattern", "a non-empty string") }
            guard behavior != .removed else { throw removes(fields) }
            return .split(.text(Array(pattern.text.utf8)), behavior, invert: invert)
        }
        if let words = WordPattern.recognise(pattern.text) {
            // These expressions match everything, so that isolating matches or removing what lies
            // between them are the same.
            guard behavior == .isolated && !invert || behavior == .removed && invert else {
                throw .unsupported(
                    "\(fields.place) splits words with behaviour \(behavior)",
                    supported: "Isolated, or Removed with invert")
            }
            return .words(words)
        }
        if let matcher = SplitMatcher(expression: pattern.text) {
            guard behavior != .removed else { throw removes(fields) }
            return .split(matcher, behavior, invert: invert)
        }
        throw .unsupported(
            "\(fields.place) splits by the unknown expression \(pattern.text)",
            supported: "the expressions of GPT-2, Llama 3, Qwen 2, Falcon and StarCoder")
    }

    private static func removes(_ fields: TokenizerFields) -> TokenizerError {
        .unsupported("\(fields.place) removes text", supported: "splitting without loss of text")
    }

    /// Whether words leave this step in the byte-level alphabet.
    var isByteLevel: Bool {
        switch self {
        case .sequence(let steps): steps.contains { $0.isByteLevel }
        case .byteLevel: true
        default: false
        }
    }

    func apply(to pieces: inout Pieces) {
        switch self {
        case .sequence(let steps):
            for step in steps { step.apply(to: &pieces) }
        case .byteLevel(let addPrefixSpace, let usePattern):
            if addPrefixSpace {
                pieces.rewrite { piece, _ in piece.first == 0x20 ? Array(piece) : [0x20] + piece }
            }
            if usePattern { pieces.cut { WordPattern.gpt2.split($0, $1, into: &$2) } }
            pieces.isByteMapped = true
        case .words(let pattern):
            pieces.cut { pattern.split($0, $1, into: &$2) }
        case .metaspace(let replacement, let prepend, let split):
            let startsInput = pieces.startsInput
            pieces.rewrite { piece, isFirst in
                var text: [UInt8] = []
                text.reserveCapacity(piece.count + piece.count / 2)
                for byte in piece {
                    if byte == 0x20 { text.append(contentsOf: replacement) } else { text.append(byte) }
                }
                let prepends = prepend == .always || prepend == .first && isFirst && startsInput
                return prepends && !text.starts(with: replacement) ? replacement + text : text
            }
            if split {
                pieces.cut { SplitMatcher.text(replacement).split($0, $1, .mergedWithNext, false, into: &$2) }
            }
        case .split(let matcher, let behavior, let invert):
            pieces.cut { matcher.split($0, $1, behavior, invert, into: &$2) }
        }
    }
}

/// When the metaspace step puts its replacement before a text.
enum MetaspaceScheme: Sendable {
    case always, first, never

    init(_ fields: TokenizerFields) throws(TokenizerError) {
        // Files older than `prepend_scheme` say `add_prefix_space`.
        let isOn = try fields.bool("add_prefix_space", default: true)
        switch try fields.optionalString("prepend_scheme") {
        case nil: self = isOn ? .always : .never
        case "always": self = .always
        case "first": self = .first
        case "never": self = .never
        default: throw fields.wrong("prepend_scheme", "always, first or never")
        }
    }
}
