// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The step that turns tokens back into text. Tokens are byte strings until the end, since a character may
/// be spread over several.
indirect enum TokenDecoder: Sendable {
    case sequence([TokenDecoder])
    case byteLevel
    case replace([UInt8], with: [UInt8])
    case byteFallback
    case fuse
    case strip(content: [UInt8], start: Int, stop: Int)
    case metaspace(replacement: [UInt8], dropsFirst: Bool)

    init(_ fields: TokenizerFields) throws(TokenizerError) {
        let type = try fields.string("type")
        switch type {
        case "Sequence":
            var steps: [TokenDecoder] = []
            for (index, value) in try fields.array("decoders").enumerated() {
                let place = "\(fields.place).decoders[\(index)]"
                let step = try TokenizerFields(value, at: place)
                guard try step.string("type") != "Sequence" else {
                    throw .unsupported(
                        "\(place) is a sequence in a sequence", supported: "one level of Sequence")
                }
                steps.append(try TokenDecoder(step))
            }
            self = .sequence(steps)
        case "ByteLevel": self = .byteLevel
        case "ByteFallback": self = .byteFallback
        case "Fuse": self = .fuse
        case "Replace":
            let pattern = try fields.pattern("pattern")
            guard !pattern.isRegex, !pattern.text.isEmpty else {
                throw .unsupported(
                    "\(fields.place) replaces the expression “\(pattern.text)”",
                    supported: "Replace of a string")
            }
            self = .replace(Array(pattern.text.utf8), with: Array(try fields.string("content").utf8))
        case "Strip":
            self = .strip(
                content: Array(try fields.string("content").utf8),
                start: Int(try fields.identifier("start")), stop: Int(try fields.identifier("stop")))
        case "Metaspace":
            let scheme = try MetaspaceScheme(fields)
            let dropsFirst = if case .never = scheme { false } else { true }
            self = .metaspace(
                replacement: Array(try fields.string("replacement").utf8), dropsFirst: dropsFirst)
        default:
            throw .unsupported(
                "\(fields.place) is of type \(type)",
                supported: "ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip, Sequence")
        }
    }

    func apply(to tokens: [[UInt8]]) -> [[UInt8]] {
        switch self {
        case .sequence(let steps):
            return steps.reduce(tokens) { $1.apply(to: $0) }
        case .byteLevel:
            let bytes = tokens.flatMap { token in
                ByteLevelAlphabet.decode(String(decoding: token, as: UTF8.self)) ?? token
            }
            return [Array(String(decoding: bytes, as: UTF8.self).utf8)]
        case .replace(let pattern, let content):
            let replacement = ByteReplacement(pattern, content)
            return tokens.map { replacement.apply(to: $0[...]) }
        case .byteFallback:
            return Self.joinFallbackBytes(tokens)
        case .fuse:
            return [tokens.flatMap { $0 }]
        case .strip(let content, let start, let stop):
            return tokens.map { Self.strip($0[...], content, start, stop) }
        case .metaspace(let replacement, let dropsFirst):
            var result = tokens
            for index in result.indices {
                // All of the first token's marks go, as in the reference implementation.
                let mark: [UInt8] = index == 0 && dropsFirst ? [] : [0x20]
                result[index] = ByteReplacement(replacement, mark).apply(to: tokens[index][...])
            }
            return result
        }
    }

    /// Runs of `<0xNN>` tokens become their bytes, or one U+FFFD a byte where these are not UTF-8.
    private static func joinFallbackBytes(_ tokens: [[UInt8]]) -> [[UInt8]] {
        var result: [[UInt8]] = []
        var pending: [UInt8] = []
        func flush() {
            guard !pending.isEmpty else { return }
            if String(validating: pending, as: UTF8.self) != nil {
                result.append(pending)
            } else {
                result.append(contentsOf: [[UInt8]](repeating: [0xEF, 0xBF, 0xBD], count: pending.count))
            }
            pending.removeAll()
        }
        for token in tokens {
            if token.count == 6, token.starts(with: "<0x".utf8), token[5] == 0x3E,
                let byte = UInt8(String(decoding: token[3..<5], as: UTF8.self), radix: 16)
            {
                pending.append(byte)
            } else {
                flush()
                result.append(token)
            }
        }
        flush()
        return result
    }

    private static func strip(
        _ token: ArraySlice<UInt8>, _ content: [UInt8], _ start: Int, _ stop: Int
    ) -> [UInt8] {
        guard !content.isEmpty else { return Array(token) }
        var token = token
        var taken = 0
        while taken < start, token.starts(with: content) {
            token = token.dropFirst(content.count)
            taken += 1
        }
        taken = 0
        while taken < stop, token.count >= content.count, token.suffix(content.count).elementsEqual(content) {
            token = token.dropLast(content.count)
            taken += 1
        }
        return Array(token)
    }
}
