// SPDX-License-Identifier: Apache-2.0

import Client
import Glibc
import Protocol

/// MUSE's files as they are published, one directory for News and one for Books: `verbmem/forget.json` (lists of
/// `prompt` and `gt`), `knowmem/*_qa.json` and `*_qa_icl.json` (`question`, `answer`), `privleak/*.json` (strings).
///
/// - Verbatim memorisation is `rouge_l_f` of `verbmem`: 128 tokens after the prompt, held against the first of the text.
/// - Knowledge memorisation is `rouge_l_f` of `knowmem_forget` and `knowmem_retain`: 32 tokens after ten answered
///   questions, cut where the next question would begin.
/// - Privacy leakage is `privleak`, by Min-40 % on the texts of `privleak`.
///
/// MUSE's own code runs knowledge memorisation on a model in 8-bit integers; here the model is as it is.
struct MuseFiles {
    let directory: String

    func data() throws(ClientError) -> BenchmarkPreset.Data {
        var data = BenchmarkPreset.Data()
        data.forget = try texts(["privleak/forget"])
        data.retain = try texts(["privleak/retain", "privleak/retain2"])
        data.holdout = try texts(["privleak/holdout"])

        data.utility.append(
            .init(name: "verbmem", data: try continuations(), role: .forget, maxNewTokens: 128))
        for (name, role, files) in [
            ("knowmem_forget", UtilitySet.Role.forget, ["knowmem/forget_qa"]),
            ("knowmem_retain", .keep, ["knowmem/retain_qa", "knowmem/retain2_qa"]),
        ] {
            data.utility.append(
                .init(
                    name: name, data: try questions(files), role: role, maxNewTokens: 32,
                    stops: ["\n\n", "\nQuestion", "Question:"]))
        }
        data.metrics = [.minK, .zlib, .reference, .rouge, .verbatim]
        data.maxLength = 2048
        data.truncate = true
        return data
    }

    /// A list of strings as rows of text.
    private func texts(_ names: [String]) throws(ClientError) -> DatasetArgument {
        let (elements, path) = try list(names)
        var rows: [JSONValue] = []
        for (index, element) in elements.enumerated() {
            guard let text = element.stringValue ?? element["text"]?.stringValue else {
                throw wrong(path, index, "a string")
            }
            rows.append(["text": .string(text)])
        }
        return try argument(rows, path)
    }

    /// Prompts and the texts that follow them.
    private func continuations() throws(ClientError) -> DatasetArgument {
        let (elements, path) = try list(["verbmem/forget"])
        var rows: [JSONValue] = []
        for (index, element) in elements.enumerated() {
            guard let prompt = element["prompt"]?.stringValue, let text = element["gt"]?.stringValue else {
                throw wrong(path, index, "an object with prompt and gt")
            }
            rows.append(["prompt": .string(prompt), "completion": .string(text)])
        }
        return try argument(rows, path)
    }

    /// Questions after the answered ones of the file beside them.
    private func questions(_ names: [String]) throws(ClientError) -> DatasetArgument {
        let (elements, path) = try list(names)
        let (examples, examplePath) = try list(names.map { $0 + "_icl" })
        var shots = ""
        for (index, element) in examples.enumerated() {
            let (question, answer) = try pair(element, examplePath, index)
            shots += "Question: \(question)\nAnswer: \(answer)\n\n"
        }
        var rows: [JSONValue] = []
        for (index, element) in elements.enumerated() {
            let (question, answer) = try pair(element, path, index)
            rows.append([
                "prompt": .string("\(shots)Question: \(question)\nAnswer: "), "completion": .string(answer),
            ])
        }
        return try argument(rows, path)
    }

    private func pair(_ element: JSONValue, _ path: String, _ index: Int) throws(ClientError) -> (
        String, String
    ) {
        guard let question = element["question"]?.stringValue, let answer = element["answer"]?.stringValue
        else { throw wrong(path, index, "an object with question and answer") }
        return (question, answer)
    }

    private func list(_ names: [String]) throws(ClientError) -> ([JSONValue], String) {
        let paths = names.map { "\(directory)/\($0).json" }
        guard let path = paths.first(where: { access($0, F_OK) == 0 }) else {
            throw ClientError(
                .badInput, "there is no \(paths[0])",
                hint: "name MUSE's directory for one corpus, such as data/news, with --preset-data")
        }
        let value: JSONValue
        do { value = try StrictJSON.parse(TextFile.read(path)) } catch let error as ClientError {
            throw error
        } catch {
            throw ClientError(.badInput, "\(path) is not valid JSON: \(error)")
        }
        guard let elements = value.arrayValue, !elements.isEmpty else {
            throw ClientError(.badInput, "\(path) holds no list", hint: "use MUSE's files as they are")
        }
        return (elements, path)
    }

    private func wrong(_ path: String, _ index: Int, _ rule: String) -> ClientError {
        ClientError(
            .badInput, "\(path), element \(index + 1): it is not \(rule)",
            hint: "use MUSE's files as they are")
    }

    private func argument(_ rows: [JSONValue], _ path: String) throws(ClientError) -> DatasetArgument {
        let lines = rows.map { $0.serializedString() + "\n" }.joined()
        return try DatasetArgument(bytes: Array(lines.utf8), name: path)
    }
}
