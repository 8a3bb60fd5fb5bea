// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol

/// Writes a version's files to the descriptors that the client opened.
struct ExportJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let reader = try context.reader(context.order.base, "exported")
        let names = context.order.files ?? []
        if context.parameters.adapter == true { return try writeAdapter(of: reader, names) }
        let wanted = Set(reader.manifest.files.map(\.path))
        // Swift compares strings by canonical equivalence, files are named by bytes: counts must agree too.
        guard Set(names) == wanted, names.count == reader.manifest.files.count else {
            let missing = wanted.subtracting(names).sorted().first.map { "\($0) is missing" }
            let surplus = Set(names).subtracting(wanted).sorted().first.map { "\($0) is none of its files" }
            throw JobFailure(
                .badInput,
                "the version cannot be written to these files: \(missing ?? surplus ?? "a name is there twice")",
                hint: "open exactly the files that the version has")
        }
        let total = reader.manifest.size
        let phase = context.phase("export", unit: "bytes")
        var written = 0
        var files: [JSONValue] = []
        for (name, descriptor) in zip(names, context.descriptors) {
            guard let index = reader.file(name) else {
                throw JobFailure(
                    .badInput, "the version has no file \(name)", hint: "open exactly the version's files")
            }
            try CheckpointExporter.write(file: index, of: reader, to: descriptor, threads: context.threads) {
                done, _ in
                try phase.update(written + done, of: total)
            }
            let file = reader.manifest.files[index]
            written += file.size
            files.append([
                "path": .string(file.path), "size": .integer(Int64(file.size)),
                "sha256": .string(file.sha256.hex),
            ])
        }
        var result = WorkerResult()
        result.bytes = Int64(total)
        result.result = ["bytes": .integer(Int64(total)), "files": .array(files)]
        return result
    }

    /// Writes the adapter that was merged into the version, as PEFT reads it.
    private func writeAdapter(of reader: CheckpointReader, _ names: [String]) throws -> WorkerResult {
        let files = reader.manifest.attachments
        guard !files.isEmpty else {
            throw JobFailure(
                .badInput, "the version has no adapter", hint: "name one that was trained with --lora-rank")
        }
        guard names.sorted() == files.map(\.path) else {
            throw JobFailure(
                .badInput, "an adapter's files are \(files.map(\.path).joined(separator: " and "))",
                hint: "open exactly these files")
        }
        let descriptors = Dictionary(zip(names, context.descriptors)) { first, _ in first }
        for file in files {
            guard let descriptor = descriptors[file.path] else { continue }
            try CheckpointExporter.write(attachment: file, of: reader, to: descriptor)
        }
        let total = Int64(files.reduce(0) { $0 + $1.size })
        var result = WorkerResult()
        result.bytes = total
        result.result = [
            "bytes": .integer(total),
            "files": .array(
                files.map {
                    [
                        "path": .string($0.path), "size": .integer(Int64($0.size)),
                        "sha256": .string($0.sha256.hex), "mode": .integer(Int64($0.mode)),
                    ]
                }),
        ]
        return result
    }
}
