// SPDX-License-Identifier: Apache-2.0

import Client
import Glibc
import Protocol

/// The files of a model's directory, found as the caller may see them.
struct SourceDirectory {
    /// The files to import, by name.
    private(set) var files: [SourceEntry] = []
    /// What was left out, for the person who waits.
    private(set) var notices: [String] = []

    private static let deepest = 8
    private static let mostFiles = 4096
    /// Weights in formats that are not edited: an edited version must not carry them along.
    private static let otherWeights: Set<String> = [
        "bin", "pt", "pth", "ckpt", "gguf", "ggml", "h5", "msgpack", "onnx", "onnx_data", "ot",
    ]

    private let root: String
    /// Directories in which the target of a symbolic link may lie.
    private let allowed: [String]
    private let skipsOtherWeights: Bool

    /// Walks `path`.
    /// - Throws: ``ClientError`` with status 65 for what is no model directory, naming the file.
    init(_ path: String, skipOtherWeights: Bool) throws(ClientError) {
        guard let resolved = Self.resolve(path) else {
            throw ClientError(
                .badInput, "cannot read \(path): \(SystemFailure())", hint: "name a model's directory")
        }
        root = resolved
        skipsOtherWeights = skipOtherWeights
        // A download cache keeps files as links from snapshots/REVISION to blobs/ beside it.
        let parts = resolved.split(separator: "/")
        let isSnapshot = parts.count >= 3 && parts[parts.count - 2] == "snapshots"
        allowed =
            [resolved + "/"]
            + (isSnapshot ? ["/" + parts.dropLast(2).joined(separator: "/") + "/blobs/"] : [])
        try walk("", depth: 1)
        files.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        guard files.contains(where: { $0.name == "config.json" }) else {
            throw ClientError(
                .badInput, "there is no config.json in \(path)", hint: "import a Hugging Face model directory"
            )
        }
        guard files.contains(where: { $0.name.lowercased().hasSuffix(".safetensors") }) else {
            throw ClientError(
                .badInput, "there is no safetensors file in \(path)",
                hint: "convert the weights with save_pretrained(safe_serialization=True)")
        }
    }

    private mutating func walk(_ directory: String, depth: Int) throws(ClientError) {
        let place = directory.isEmpty ? root : "\(root)/\(directory)"
        for name in try Self.names(in: place) {
            let relative = directory.isEmpty ? name : "\(directory)/\(name)"
            var status = stat()
            guard lstat("\(root)/\(relative)", &status) == 0 else {
                throw ClientError(.badInput, "cannot read \(place)/\(name): \(SystemFailure())")
            }
            switch status.st_mode & S_IFMT {
            case S_IFDIR:
                if name == ".git" || name == ".cache" {
                    notices.append("\(relative) is not part of the model and was left out")
                } else if depth >= Self.deepest {
                    throw ClientError(
                        .badInput, "\(relative) lies deeper than \(Self.deepest) directories",
                        hint: "import a model's own directory")
                } else {
                    try walk(relative, depth: depth + 1)
                }
            case S_IFREG: try add(relative, "\(root)/\(relative)")
            case S_IFLNK: try add(relative, try target(of: relative))
            default:
                throw ClientError(
                    .badInput, "\(relative) is neither file nor directory",
                    hint: "a model's directory holds regular files only")
            }
        }
    }

    /// Where a link leads, if that is a file of this model.
    private func target(of relative: String) throws(ClientError) -> String {
        guard let target = Self.resolve("\(root)/\(relative)") else {
            throw ClientError(
                .badInput, "the link \(relative) leads nowhere: \(SystemFailure())",
                hint: "replace it by the file")
        }
        guard allowed.contains(where: target.hasPrefix) else {
            throw ClientError(
                .badInput, "the link \(relative) leads out of the directory, to \(target)",
                hint: "replace it by the file if it belongs to the model")
        }
        var status = stat()
        guard stat(target, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw ClientError(
                .badInput, "the link \(relative) does not lead to a file",
                hint: "replace it by what it stands for")
        }
        return target
    }

    private mutating func add(_ name: String, _ path: String) throws(ClientError) {
        let lower = name.lowercased()
        if let dot = lower.lastIndex(of: "."),
            Self.otherWeights.contains(String(lower[lower.index(after: dot)...]))
        {
            guard skipsOtherWeights else {
                throw ClientError(
                    .badInput, "“\(name)” holds weights that would stay unedited",
                    hint: "remove it, or leave such files out with --skip-other-weights")
            }
            notices.append("\(name) holds weights of another format and was left out")
            return
        }
        if skipsOtherWeights, Self.otherWeights.contains(where: { lower.hasSuffix(".\($0).index.json") }) {
            notices.append("\(name) is an index of weights of another format and was left out")
            return
        }
        guard files.count < Self.mostFiles else {
            throw ClientError(
                .badInput, "there are more than \(Self.mostFiles) files",
                hint: "import a model's own directory")
        }
        files.append(SourceEntry(name: name, path: path))
    }

    private static func names(in directory: String) throws(ClientError) -> [String] {
        guard let stream = opendir(directory) else {
            let failure = SystemFailure()
            throw ClientError(
                .badInput, "cannot read \(directory): \(failure)", hint: "name a model's directory")
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let name else {
                throw ClientError(
                    .badInput, "\(directory) holds a file whose name is not UTF-8", hint: "rename the file")
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func resolve(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
