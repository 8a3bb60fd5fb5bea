// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The special tokens that a tokenizer puts before and after a text.
struct PostProcessor: Sendable {
    private(set) var leading: [Int32] = []
    private(set) var trailing: [Int32] = []

    /// Adds nothing.
    init() {}

    init(_ fields: TokenizerFields) throws(TokenizerError) {
        let type = try fields.string("type")
        switch type {
        case "ByteLevel": break
        case "TemplateProcessing": try readTemplate(fields)
        case "BertProcessing", "RobertaProcessing":
            leading = [try Self.tokenPair(fields, "cls")]
            trailing = [try Self.tokenPair(fields, "sep")]
        case "Sequence":
            for (index, value) in try fields.array("processors").enumerated() {
                let place = "\(fields.place).processors[\(index)]"
                let step = try TokenizerFields(value, at: place)
                guard try step.string("type") != "Sequence" else {
                    throw .unsupported(
                        "\(place) is a sequence in a sequence", supported: "one level of Sequence")
                }
                let inner = try PostProcessor(step)
                leading = inner.leading + leading
                trailing += inner.trailing
            }
        default:
            throw .unsupported(
                "\(fields.place) is of type \(type)",
                supported: "TemplateProcessing, ByteLevel, BertProcessing, RobertaProcessing, Sequence")
        }
    }

    private mutating func readTemplate(_ fields: TokenizerFields) throws(TokenizerError) {
        let specials = try fields.fields("special_tokens")
        var sequences = 0
        for (index, value) in try fields.array("single").enumerated() {
            let place = "\(fields.place).single[\(index)]"
            let piece = try TokenizerFields(value, at: place)
            if piece.object["Sequence"] != nil {
                guard try piece.fields("Sequence").string("id") == "A" else {
                    throw .invalid("\(place) names another sequence than A")
                }
                sequences += 1
                continue
            }
            let name = try piece.fields("SpecialToken").string("id")
            for id in try specials.fields(name).array("ids") {
                guard case .integer(let number) = id, let token = Int32(exactly: number), token >= 0 else {
                    throw .invalid("\(specials.place)[“\(name)”].ids holds something that is not a token id")
                }
                if sequences == 0 { leading.append(token) } else { trailing.append(token) }
            }
        }
        guard sequences == 1 else { throw .invalid("\(fields.place).single does not hold sequence A once") }
    }

    private static func tokenPair(_ fields: TokenizerFields, _ key: String) throws(TokenizerError) -> Int32 {
        let pair = try fields.array(key)
        guard pair.count == 2, case .integer(let number) = pair[1], let id = Int32(exactly: number), id >= 0
        else {
            throw fields.wrong(key, "a pair of a token and its id")
        }
        return id
    }
}
