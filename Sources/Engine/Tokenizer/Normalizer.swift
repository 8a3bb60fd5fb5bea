// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The step that rewrites text before it is cut into words.
indirect enum Normalizer: Sendable {
    case sequence([Normalizer])
    case form(CanonicalForm)
    case prepend([UInt8])
    case replace([UInt8], with: [UInt8])
    case lowercase

    init(_ fields: TokenizerFields) throws(TokenizerError) {
        let type = try fields.string("type")
        if let form = CanonicalForm(rawValue: type) {
            self = .form(form)
            return
        }
        switch type {
        case "Sequence":
            var steps: [Normalizer] = []
            for (index, value) in try fields.array("normalizers").enumerated() {
                let place = "\(fields.place).normalizers[\(index)]"
                let step = try TokenizerFields(value, at: place)
                guard try step.string("type") != "Sequence" else {
                    throw .unsupported(
                        "\(place) is a sequence in a sequence", supported: "one level of Sequence")
                }
                steps.append(try Normalizer(step))
            }
            self = .sequence(steps)
        case "Prepend":
            self = .prepend(Array(try fields.string("prepend").utf8))
        case "Replace":
            let pattern = try fields.pattern("pattern")
            guard !pattern.isRegex, !pattern.text.isEmpty else {
                throw .unsupported(
                    "\(fields.place) replaces the expression “\(pattern.text)”",
                    supported: "Replace of a string")
            }
            self = .replace(Array(pattern.text.utf8), with: Array(try fields.string("content").utf8))
        case "Lowercase":
            self = .lowercase
        default:
            throw .unsupported(
                "\(fields.place) is of type \(type)",
                supported: "NFC, NFD, NFKC, NFKD, Prepend, Replace, Lowercase, Sequence")
        }
    }

    func apply(to text: [UInt8]) -> [UInt8] {
        switch self {
        case .sequence(let steps): steps.reduce(text) { $1.apply(to: $0) }
        case .form(let form): form.apply(to: text)
        case .prepend(let prefix): text.isEmpty ? text : prefix + text
        case .replace(let pattern, let content): ByteReplacement(pattern, content).apply(to: text[...])
        case .lowercase:
            // Character by character, without the context rules of a whole word.
            Array(
                String(decoding: text, as: UTF8.self).unicodeScalars
                    .map(\.properties.lowercaseMapping).joined().utf8)
        }
    }
}

/// Replacement of each occurrence of a byte string, from the left, without overlaps.
struct ByteReplacement: Sendable {
    private let pattern: [UInt8]
    private let content: [UInt8]

    init(_ pattern: [UInt8], _ content: [UInt8]) {
        self.pattern = pattern
        self.content = content
    }

    func apply(to text: ArraySlice<UInt8>) -> [UInt8] {
        guard let first = pattern.first else { return Array(text) }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var position = text.startIndex
        while position < text.endIndex {
            if text[position] == first, text[position...].starts(with: pattern) {
                result.append(contentsOf: content)
                position += pattern.count
            } else {
                result.append(text[position])
                position += 1
            }
        }
        return result
    }
}
