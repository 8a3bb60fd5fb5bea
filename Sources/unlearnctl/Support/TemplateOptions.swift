// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// How prompts and answers are laid out.
struct TemplateOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            The format of prompts and answers: plain, chatml, llama2, llama3, mistral, gemma, phi3, zephyr, vicuna or \
            alpaca (default plain: questions as “Question: …\\nAnswer:”, prompts as they are).
            """, valueName: "name"))
    var template: PromptTemplateName?

    @Option(
        name: .customLong("system-prompt"), parsing: .unconditional,
        help: ArgumentHelp("The system prompt, of a template that takes one.", valueName: "text"))
    var systemPrompt: String?

    @Option(
        name: .customLong("prompt-prefix"), parsing: .unconditional,
        help: ArgumentHelp(
            "Words before each prompt, instead of a named template; $'…' of the shell writes line breaks.",
            valueName: "text"))
    var promptPrefix: String?

    @Option(
        name: .customLong("prompt-suffix"), parsing: .unconditional,
        help: ArgumentHelp("Words between each prompt and its answer.", valueName: "text"))
    var promptSuffix: String?

    /// Sets what was given.
    func apply(to parameters: inout JobParameters) {
        if let template { parameters.template = template }
        if let systemPrompt { parameters.systemPrompt = systemPrompt }
        if let promptPrefix { parameters.promptPrefix = promptPrefix }
        if let promptSuffix { parameters.promptSuffix = promptSuffix }
    }
}

extension PromptTemplateName: ExpressibleByArgument {}
