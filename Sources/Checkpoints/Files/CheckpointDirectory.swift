// SPDX-License-Identifier: Apache-2.0

/// The files of a checkpoint that was given for import, held against the rules of a model directory.
///
/// Knows what is a weight file and what is not; opens nothing by name.
struct CheckpointDirectory: Sendable {
    /// A file that will be imported.
    struct Member: Sendable {
        var source: SourceFile
        /// Present for safetensors files.
        var header: SafetensorsHeader?
    }

    /// In the order of their paths' bytes.
    private(set) var members: [Member] = []
    /// What was accepted but looks odd, in words.
    private(set) var warnings: [String] = []

    static let mostFiles = 100_000
    static let deepest = 8
    static let longestPath = 4096
    /// Weights in formats that are not edited here; an edited version must not carry them along unedited.
    static let otherWeights: Set<String> = [
        "bin", "pt", "pth", "ckpt", "gguf", "ggml", "h5", "msgpack", "onnx", "onnx_data", "ot",
    ]

    /// Checks names, headers and indexes.
    /// - Parameter skipOtherWeights: Leave weight files of other formats out instead of refusing them.
    init(
        _ files: [ImportFile], skipOtherWeights: Bool, limits: SafetensorsHeader.Limits,
        fileSystem: any FileSystem
    ) throws {
        guard files.count <= Self.mostFiles else {
            throw CheckpointError(
                .unsupported, "\(files.count) files; a checkpoint may have \(Self.mostFiles)")
        }
        var indexes: [Member] = []
        for file in files.sorted(by: { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }) {
            try Self.checkPath(file.path)
            let components = file.path.split(separator: "/")
            if components.contains(".git") || components.contains(".cache") {
                warn("\(quoted(file.path)) is not part of a model and was left out")
                continue
            }
            if Self.isOtherWeights(file.path) {
                guard skipOtherWeights else {
                    throw CheckpointError(
                        .unsupported, "\(quoted(file.path)) holds weights that would stay unedited",
                        hint: "remove it, or leave such files out with --skip-other-weights")
                }
                warn("\(quoted(file.path)) holds weights of another format and was left out")
                continue
            }
            if skipOtherWeights, Self.isOtherIndex(file.path) {
                warn("\(quoted(file.path)) is an index of weights of another format and was left out")
                continue
            }
            var member = Member(source: try SourceFile(file, fileSystem))
            if Self.hasSuffix(file.path, ".safetensors") {
                member.header = try Self.header(of: member.source, limits)
            } else if Self.hasSuffix(file.path, ".safetensors.index.json") {
                indexes.append(member)
            }
            members.append(member)
        }
        try checkNames()
        guard members.contains(where: { $0.source.path == "config.json" }) else {
            throw CheckpointError(
                .invalidInput, "there is no config.json", hint: "import a Hugging Face model directory")
        }
        guard members.contains(where: { $0.header != nil }) else {
            throw CheckpointError(
                .invalidInput, "there is no safetensors file",
                hint: "convert the weights with save_pretrained(safe_serialization=True)")
        }
        let owners = try tensorOwners()
        for index in indexes { try check(index, owners) }
    }

    /// Adds a warning, up to a number that a person would still read.
    private mutating func warn(_ text: String) {
        if warnings.count < 100 { warnings.append(text) }
    }

    /// A relative path of plain components.
    static func checkPath(_ path: String) throws(CheckpointError) {
        func refuse(_ rule: String) -> CheckpointError {
            CheckpointError(
                .invalidInput, "the path \(quoted(path)) \(rule)", hint: "name files inside the model")
        }
        guard !path.isEmpty, path.utf8.count <= longestPath else { throw refuse("is empty or too long") }
        guard path.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F && $0 != "\\" }) else {
            throw refuse("holds a control character or a backslash")
        }
        let components = path.split(separator: "/", omittingEmptySubsequences: false)
        guard components.count <= deepest else { throw refuse("is more than \(deepest) levels deep") }
        for component in components where component.isEmpty || component == "." || component == ".." {
            throw refuse("is not a plain relative path")
        }
        guard components.allSatisfy({ $0.utf8.count <= 255 }) else {
            throw refuse("has a component that is too long")
        }
    }

    private static func hasSuffix(_ path: String, _ suffix: String) -> Bool {
        path.lowercased().hasSuffix(suffix)
    }

    private static func isOtherWeights(_ path: String) -> Bool {
        let name = path.lowercased()
        guard let dot = name.lastIndex(of: ".") else { return false }
        return otherWeights.contains(String(name[name.index(after: dot)...]))
    }

    private static func isOtherIndex(_ path: String) -> Bool {
        otherWeights.contains { hasSuffix(path, ".\($0).index.json") }
    }

    private static func header(
        of source: SourceFile, _ limits: SafetensorsHeader.Limits
    ) throws -> SafetensorsHeader {
        let prefix = try source.read(0..<min(8, source.size))
        let length = try SafetensorsHeader.length(
            prefix, fileSize: source.size, path: source.path, limits: limits)
        let json = try source.read(8..<8 + length)
        return try SafetensorsHeader(json: json, fileSize: source.size, path: source.path, limits: limits)
    }

    /// No path twice, none that is also a directory, and no weight files that a case-folding or
    /// Unicode-normalising file system would take for one.
    private mutating func checkNames() throws {
        var exact: Set<[UInt8]> = []
        var directories: Set<[UInt8]> = []
        var folded: [String: (path: String, weights: Bool)] = [:]
        for member in members {
            let path = member.source.path
            guard exact.insert(Array(path.utf8)).inserted else {
                throw CheckpointError(.invalidInput, "the path \(quoted(path)) is given twice")
            }
            var parent = path[...]
            while let slash = parent.lastIndex(of: "/") {
                parent = parent[..<slash]
                directories.insert(Array(parent.utf8))
            }
            // String equality is canonical equivalence, which also folds normal forms together.
            let weights = member.header != nil
            if let other = folded.updateValue((path, weights), forKey: path.lowercased()) {
                if weights || other.weights {
                    throw CheckpointError(
                        .invalidInput,
                        "\(quoted(other.path)) and \(quoted(path)) differ only in case or spelling")
                }
                warn("\(quoted(other.path)) and \(quoted(path)) differ only in case or spelling")
            }
        }
        if let both = directories.first(where: exact.contains) {
            let path = String(decoding: both, as: UTF8.self)
            throw CheckpointError(.invalidInput, "\(quoted(path)) is both a file and a directory")
        }
    }

    /// Which file holds each tensor.
    private func tensorOwners() throws -> [String: Int] {
        var owners: [String: Int] = [:]
        for (index, member) in members.enumerated() {
            for tensor in member.header?.tensors ?? [] {
                if let other = owners.updateValue(index, forKey: tensor.name) {
                    throw CheckpointError(
                        .invalidInput,
                        "tensor \(quoted(tensor.name)) is in both \(quoted(members[other].source.path)) and "
                            + quoted(member.source.path),
                        hint: "keep one set of weights in the directory")
                }
            }
        }
        return owners
    }

    /// Index and shards must agree, both ways.
    private mutating func check(_ member: Member, _ owners: [String: Int]) throws {
        let path = member.source.path
        guard member.source.size <= ShardIndex.limit else {
            throw CheckpointError(
                .invalidInput,
                "\(quoted(path)) has \(member.source.size) bytes; the limit is \(ShardIndex.limit)")
        }
        let index = try ShardIndex(json: try member.source.read(0..<member.source.size), path: path)
        let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
        var shards: [String: Int] = [:]
        for (position, other) in members.enumerated() where other.header != nil {
            shards[other.source.path] = position
        }
        var listed: Set<String> = []
        var used: Set<Int> = []
        for entry in index.entries {
            let shard = directory + entry.shard
            guard let position = shards[shard], members[position].source.path.utf8.elementsEqual(shard.utf8)
            else {
                throw CheckpointError(
                    .invalidInput, "\(quoted(path)) names the shard \(quoted(shard)), which is not there",
                    hint: "give all shards")
            }
            guard let owner = owners[entry.tensor] else {
                throw CheckpointError(
                    .invalidInput, "\(quoted(path)) lists tensor \(quoted(entry.tensor)), which no shard has")
            }
            guard owner == position else {
                throw CheckpointError(
                    .invalidInput,
                    "\(quoted(path)) puts tensor \(quoted(entry.tensor)) into \(quoted(entry.shard)), but it is in "
                        + quoted(members[owner].source.path))
            }
            listed.insert(entry.tensor)
            used.insert(position)
        }
        var total: Int64 = 0
        for position in used.sorted() {
            for tensor in members[position].header?.tensors ?? [] {
                total += Int64(tensor.size)
                if !listed.contains(tensor.name) {
                    warn("\(quoted(path)) does not list tensor \(quoted(tensor.name))")
                }
            }
        }
        if let stated = index.totalSize, stated != total {
            warn("\(quoted(path)) states a total size of \(stated) bytes; the tensors have \(total)")
        }
        for (shard, position) in shards.sorted(by: { $0.key < $1.key })
        where shard.hasPrefix(directory) && !used.contains(position)
            && !shard.dropFirst(directory.count).contains("/")
        {
            warn("\(quoted(path)) does not list \(quoted(shard))")
        }
    }
}
