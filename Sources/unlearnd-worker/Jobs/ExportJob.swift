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
}
