// SPDX-License-Identifier: Apache-2.0

/// Reads datasets: one JSON object a line, UTF-8, blank lines allowed.
///
/// Finds every fault of form before a model is there, so that client and daemon refuse the same files.
/// Members that have no meaning here are ignored.
package enum DatasetParser {
    /// Labels of this value are not predicted (PyTorch's `ignore_index`).
    package static let unlabelled: Int32 = -100

    /// The members that make a row, by form; a row has those of exactly one form.
    private static let forms: [(required: [String], optional: [String])] = [
        (["text"], []), (["prompt", "completion"], []), (["question", "answer"], []),
        (["input_ids"], ["labels"]),
    ]

    /// - Parameters:
    ///   - bytes: The file.
    ///   - name: What errors call it.
    /// - Returns: The rows in order, at least one.
    /// - Throws: The first fault, with its line.
    package static func parse(_ bytes: [UInt8], name: String) throws(DatasetError) -> [DatasetRow] {
        var rows: [DatasetRow] = []
        var start = 0
        var line = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
            line += 1
            if !bytes[start..<end].allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) {
                let reader = RowReader(name: name, line: line)
                rows.append(try reader.read(Array(bytes[start..<end])))
            }
            start = end + 1
        }
        guard !rows.isEmpty else {
            throw DatasetError(
                name: name, line: nil, problem: "the dataset has no rows",
                hint: "Write one JSON object a line, for example {\"text\": \"…\"}")
        }
        return rows
    }

    /// The reader of one line.
    private struct RowReader {
        let name: String
        let line: Int

        func fault(_ problem: String, _ hint: String) -> DatasetError {
            DatasetError(name: name, line: line, problem: problem, hint: hint)
        }

        func read(_ bytes: [UInt8]) throws(DatasetError) -> DatasetRow {
            let value: JSONValue
            guard !bytes.starts(with: [0xEF, 0xBB, 0xBF]) else {
                throw fault(
                    "the line begins with a byte order mark", "Save the file as UTF-8 without one")
            }
            do { value = try StrictJSON.parse(bytes, limits: .init(depth: 16)) } catch {
                throw fault(
                    "not valid JSON: \(error)",
                    "Write one complete JSON object on each line, without line breaks in it")
            }
            guard case .object(let object) = value else {
                throw fault(
                    "the line holds \(value.kindName), not a JSON object",
                    "Write one object a line, not a list of objects")
            }
            var row = DatasetRow(line: line, content: try content(object))
            row.paraphrasedAnswer = try optionalText(object, "paraphrased_answer")
            row.paraphrasedQuestion = try optionalText(object, "paraphrased_question")
            row.replacement = try optionalText(object, "replacement")
            // Datasets use the name for other things as well: what is no text is no subject.
            if case .string(let subject)? = object["subject"], !subject.isEmpty { row.subject = subject }
            if let value = object["perturbed_answer"], value != .null {
                guard case .array(let answers) = value else {
                    throw wrongType("perturbed_answer", value, "a list of strings")
                }
                for answer in answers {
                    guard case .string(let text) = answer, !text.isEmpty else {
                        throw wrongType("perturbed_answer", answer, "a list of strings that are not empty")
                    }
                    row.perturbedAnswers.append(text)
                }
            }
            return row
        }

        private func content(_ object: JSONObject) throws(DatasetError) -> DatasetRow.Content {
            let present = forms.filter { form in
                (form.required + form.optional).contains { object[$0] != nil }
            }
            guard let form = present.first else {
                throw fault(
                    "the row has none of the members text, prompt and completion, question and answer, input_ids"
                        + found(object), "Give each row the members of one of these forms")
            }
            guard present.count == 1 else {
                let names = present.flatMap { $0.required + $0.optional }.filter { object[$0] != nil }
                throw fault(
                    "the members \(names.joined(separator: ", ")) belong to different forms of row",
                    "Keep the members of one form: text, prompt and completion, question and answer, or input_ids"
                )
            }
            for name in form.required where object[name] == nil {
                throw fault("the member \(name) is missing" + found(object), "Add \(name) to the row")
            }
            switch form.required[0] {
            case "text": return .text(try text(object, "text"))
            case "prompt":
                let prompt = try text(object, "prompt", mayBeEmpty: true)
                return .promptCompletion(prompt: prompt, completion: try text(object, "completion"))
            case "question":
                return .questionAnswer(
                    question: try text(object, "question"), answer: try text(object, "answer"))
            default: return try inputIDs(object)
            }
        }

        private func found(_ object: JSONObject) -> String {
            let names = object.keys.prefix(8).map { String($0.prefix(40)) }
            return names.isEmpty ? " (it is empty)" : " (found: \(names.joined(separator: ", ")))"
        }

        private func inputIDs(_ object: JSONObject) throws(DatasetError) -> DatasetRow.Content {
            let ids = try integers(object, "input_ids", allowsUnlabelled: false)
            guard ids.count > 1 else {
                throw fault(
                    "input_ids holds \(ids.count) token\(ids.count == 1 ? "" : "s")",
                    "Give at least two: the first is only read, the others are predicted")
            }
            guard object["labels"] != nil, object["labels"] != .null else {
                return .inputIDs(ids, labels: nil)
            }
            let labels = try integers(object, "labels", allowsUnlabelled: true)
            guard labels.count == ids.count else {
                throw fault(
                    "labels holds \(labels.count) numbers and input_ids \(ids.count)",
                    "Give one label for each id, −100 where none is wanted")
            }
            guard labels.dropFirst().contains(where: { $0 != unlabelled }) else {
                throw fault(
                    "no token after the first has a label", "Label at least one token other than the first")
            }
            return .inputIDs(ids, labels: labels)
        }

        private func integers(
            _ object: JSONObject, _ key: String, allowsUnlabelled: Bool
        ) throws(DatasetError) -> [Int32] {
            let value = object[key] ?? .null
            guard case .array(let elements) = value else { throw wrongType(key, value, "a list of integers") }
            var result: [Int32] = []
            result.reserveCapacity(elements.count)
            for (index, element) in elements.enumerated() {
                guard case .integer(let number) = element else {
                    throw wrongType("\(key)[\(index)]", element, "an integer")
                }
                guard let id = Int32(exactly: number), id >= 0 || allowsUnlabelled && id == unlabelled else {
                    throw fault(
                        "\(key)[\(index)] is \(number)",
                        allowsUnlabelled
                            ? "A label is a token id from 0 to 2147483647, or −100 for none"
                            : "A token id lies between 0 and 2147483647")
                }
                result.append(id)
            }
            return result
        }

        private func text(
            _ object: JSONObject, _ key: String, mayBeEmpty: Bool = false
        ) throws(DatasetError) -> String {
            let value = object[key] ?? .null
            guard case .string(let text) = value else { throw wrongType(key, value, "a string") }
            guard mayBeEmpty || !text.isEmpty else {
                throw fault("\(key) is empty", "Write text in \(key) or remove the row")
            }
            return text
        }

        private func optionalText(_ object: JSONObject, _ key: String) throws(DatasetError) -> String? {
            guard let value = object[key], value != .null else { return nil }
            return try text(object, key)
        }

        private func wrongType(_ key: String, _ value: JSONValue, _ rule: String) -> DatasetError {
            fault(
                "\(key) is \(value == "" ? "an empty string" : value.kindName), not \(rule)",
                "Write \(key) as \(rule)")
        }
    }
}
