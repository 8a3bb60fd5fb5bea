// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Prompts and answers as token ids, by one template and one tokenizer.
///
/// The text is encoded as a whole, as transformers does with what a chat template renders, so that the ids are the
/// same, also where a merge crosses the border between template and text. Only text that spells a special token
/// differs on purpose: here it stays text.
package struct PromptEncoder: Sendable {
    /// The tokens after which an answer is over: the template's and the tokenizer's.
    package let ends: [Int32]

    private let template: PromptTemplate
    private let tokenizer: Tokenizer

    /// - Throws: ``EngineError`` with `.unsupportedModel` when the tokenizer lacks a token that the template needs.
    package init(_ template: PromptTemplate, _ tokenizer: Tokenizer) throws(EngineError) {
        self.template = template
        self.tokenizer = tokenizer
        func missing(_ what: String) -> EngineError {
            EngineError(
                .unsupportedModel,
                "the template \(template.name.rawValue) needs \(what), which the model's tokenizer lacks",
                hint: "Choose the --template that the model was tuned with")
        }
        for token in template.requiredTokens where tokenizer.addedToken(token) == nil {
            throw missing("the token \(token)")
        }
        let parts = template.prompt("") + template.answer("")
        if parts.contains(.beginning), tokenizer.bosID == nil { throw missing("a beginning token") }
        if parts.contains(.end), tokenizer.eosID == nil { throw missing("an end token") }
        let own = template.answerEnd.flatMap(tokenizer.addedToken)
        ends = [own, tokenizer.eosID].compactMap(\.self)
    }

    /// The ids up to where the answer begins.
    package func prompt(_ text: String) -> [Int32] { encode(template.prompt(text)) }

    /// The ids of a prompt with its answer and end token, and how many of them are the prompt's.
    ///
    /// Where a merge joins the prompt's last character with the answer's first, the joined token is the answer's.
    package func exchange(_ text: String, answer: String) -> (ids: [Int32], promptCount: Int) {
        let ids = encode(template.prompt(text) + template.answer(answer))
        let promptCount = zip(ids, prompt(text)).prefix { $0 == $1 }.count
        return (ids, min(promptCount, ids.count - 1))
    }

    private func encode(_ parts: [PromptTemplate.Part]) -> [Int32] {
        let texts = parts.map { part -> Tokenizer.Stretch in
            switch part {
            case .words(let text): Tokenizer.Stretch(text, isData: false)
            case .data(let text): Tokenizer.Stretch(text, isData: true)
            case .beginning: Tokenizer.Stretch(tokenizer.text(of: tokenizer.bosID), isData: false)
            case .end: Tokenizer.Stretch(tokenizer.text(of: tokenizer.eosID), isData: false)
            }
        }
        let ids = tokenizer.encode(texts)
        return template.takesLeadingTokens ? tokenizer.leadingSpecialTokens + ids : ids
    }
}
