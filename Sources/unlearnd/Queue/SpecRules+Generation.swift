// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The rules of generating, and of how prompts are laid out.
extension SpecRules {
    /// How much is generated, and how it is drawn.
    static func checkGeneration(_ parameters: JobParameters) throws(RPCError) {
        if let prompts = parameters.prompts {
            guard parameters.prompt == nil else {
                throw fault("parameters.prompts", "prompt and prompts are given", "give one of them")
            }
            guard (1...4096).contains(prompts.count) else {
                throw fault(
                    "parameters.prompts", "there are \(prompts.count) prompts; a job takes 1 to 4096",
                    "split them over several jobs")
            }
        }
        let draws = parameters.temperature != 0
        if !draws, parameters.topK != nil || parameters.topP != nil || parameters.count ?? 1 > 1 {
            throw fault(
                "parameters.temperature",
                "temperature 0 always takes the most likely token, so nothing is drawn",
                "raise --temperature, or leave --top-k, --top-p and --count out")
        }
    }

    /// What a template takes, and what it needs.
    static func checkTemplate(_ parameters: JobParameters) throws(RPCError) {
        let isFramed = parameters.promptPrefix != nil || parameters.promptSuffix != nil
        let name = parameters.template ?? (isFramed ? .custom : .plain)
        if isFramed, name != .custom {
            let field = parameters.promptPrefix != nil ? "prompt_prefix" : "prompt_suffix"
            throw fault(
                "parameters.\(field)", "the template \(name.rawValue) has its own words around a prompt",
                "leave out --template, or --prompt-prefix and --prompt-suffix")
        }
        if name == .custom, !isFramed {
            throw fault(
                "parameters.template", "the template custom is nothing without a prefix or a suffix",
                "give --prompt-prefix or --prompt-suffix")
        }
        if parameters.systemPrompt != nil, !name.takesSystemPrompt {
            throw fault(
                "parameters.system_prompt", "the template \(name.rawValue) has no place for a system prompt",
                "leave it out, or choose another --template")
        }
        for (field, text) in [
            ("system_prompt", parameters.systemPrompt), ("prompt_prefix", parameters.promptPrefix),
            ("prompt_suffix", parameters.promptSuffix),
        ] {
            if let text, text.utf8.count > 65_536 {
                throw fault("parameters.\(field)", "\(field) has more than 65536 bytes", "shorten it")
            }
        }
    }
}
