// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol

/// The files that tokenizer tests read.
enum TokenizerTestFiles {
    /// The folder of third-party data: `UNLEARN_SHARED`, else `shared` beside the repository.
    static let shared: URL = {
        if let path = ProcessInfo.processInfo.environment["UNLEARN_SHARED"] { return URL(filePath: path) }
        var folder = URL(filePath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<4 { folder.deleteLastPathComponent() }
        return folder.appending(path: "shared")
    }()

    /// Why tests on third-party data skip.
    static let sharedIsMissing: String? =
        FileManager.default.fileExists(atPath: shared.appending(path: "data/README.md").path)
        ? nil : "third-party test data is not at \(shared.path); set UNLEARN_SHARED to its folder"

    /// The folder of cases that another implementation has just made, if there is one.
    static let parityCases = ProcessInfo.processInfo.environment["UNLEARN_TOKENIZER_PARITY"].map {
        URL(filePath: $0)
    }

    static func read(_ url: URL) throws -> [UInt8] { Array(try Data(contentsOf: url)) }

    /// The tokenizer in a folder of the third-party data, such as `data/tokenizers/gpt2`.
    static func sharedTokenizer(_ path: String) throws -> Tokenizer {
        let folder = shared.appending(path: path)
        return try Tokenizer(
            tokenizerJSON: read(folder.appending(path: "tokenizer.json")),
            configJSON: try? read(folder.appending(path: "tokenizer_config.json")),
            modelConfigJSON: try? read(folder.appending(path: "config.json")))
    }

    /// The folder of committed golden tokenizers.
    static let goldens = Bundle.module.resourceURL?.appending(path: "Fixtures/tokenizers")

    /// A committed golden: the tokenizer's file and its cases.
    static func golden(_ name: String) throws -> (tokenizerJSON: [UInt8], cases: [JSONValue]) {
        guard let folder = goldens else { throw CocoaError(.fileNoSuchFile) }
        let content = try StrictJSON.parse(try read(folder.appending(path: "\(name).json")))
        return (content["tokenizer"]?.serialized() ?? [], content["cases"]?.arrayValue ?? [])
    }

    static func ids(_ value: JSONValue?) -> [Int32]? {
        value?.arrayValue?.compactMap { $0.integerValue.flatMap(Int32.init(exactly:)) }
    }

    /// A byte-level tokenizer whose file is the golden one with members replaced.
    static func tokenizer(changing edit: (inout JSONObject) -> Void) throws -> Tokenizer {
        var root = try StrictJSON.parse(golden("gpt2-style").tokenizerJSON).objectValue ?? JSONObject()
        edit(&root)
        return try Tokenizer(tokenizerJSON: JSONValue.object(root).serialized())
    }
}
