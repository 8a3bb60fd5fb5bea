// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// A file of jobs, YAML or JSON: one job, a list of them under `jobs:`, or several YAML documents.
///
/// A job has the members of `job.submit`'s specification. Beside these, `name` names it within the file, `after` may
/// hold such a name, and a dataset may be the path of a file, which counts from the job file's folder.
struct JobFile {
    /// Larger files are not read.
    static let largest = 1 << 20
    /// Most jobs of one file.
    static let mostJobs = 10_000

    /// The jobs in their order.
    let jobs: [FileJob]
    /// Whether the file is a list, though it may be one of a single job.
    let isList: Bool

    /// Reads the file, or standard input for `-`, and every dataset that it names.
    ///
    /// - Parameter kind: What the jobs are that do not say it.
    /// - Throws: ``ClientError`` with status 64 or 65 that names file and line.
    init(_ path: String, kind: JobKind? = nil) throws(ClientError) {
        let bytes = try TextFile.read(path)
        let name = TextFile.name(path)
        guard bytes.count <= Self.largest else {
            throw ClientError(
                .badInput, "\(name) has more than \(Self.largest) bytes",
                hint: "a job file holds jobs; datasets are files of their own")
        }
        var isList = false
        var found: [(JSONValue, JobPlace)] = []
        for (value, place) in try Self.documents(bytes, path, name) {
            guard case .object(let object) = value else {
                throw ClientError(
                    .badInput, "\(place): holds \(value.kindName), not a job",
                    hint: "write a job's members, such as kind: and model:, or a list of jobs under jobs:")
            }
            guard let list = object["jobs"] else {
                found.append((value, place))
                continue
            }
            isList = true
            if let other = object.keys.first(where: { $0 != "jobs" }) {
                throw ClientError(
                    .badInput, "\(place.at(other)): “\(other)” stands beside jobs",
                    hint: "each job of the list has its own members")
            }
            guard let elements = list.arrayValue else {
                throw ClientError(
                    .badInput, "\(place.at("jobs")): jobs is \(list.kindName), not a list",
                    hint: "begin each job with “- ”")
            }
            for (index, element) in elements.enumerated() {
                found.append((element, place.within(["jobs", "[\(index)]"])))
            }
        }
        isList = isList || found.count > 1
        guard !found.isEmpty, found.count <= Self.mostJobs else {
            throw ClientError(
                .badInput,
                found.isEmpty ? "\(name) holds no job" : "\(name) holds more than \(Self.mostJobs) jobs",
                hint: "a job has at least a kind and a model")
        }
        let folder = DatasetFolder(of: path)
        var jobs: [FileJob] = []
        var names: Set<String> = []
        for (value, place) in found {
            let job = try FileJob(value, place, folder: folder, kind: kind, earlier: names)
            if let name = job.name { names.insert(name) }
            jobs.append(job)
        }
        self.jobs = jobs
        self.isList = isList
    }

    /// The only job of the file.
    /// - Throws: ``ClientError`` with status 64 for a list.
    func single(_ name: String) throws(ClientError) -> FileJob {
        guard let job = jobs.first, !isList else {
            throw ClientError(
                .usage, "\(name) holds a list of \(jobs.count) jobs, and options stand beside one job alone",
                hint: "queue them all with: unlearnctl submit --spec \(name)")
        }
        return job
    }

    /// What the file says, as JSON or as YAML.
    private static func documents(
        _ bytes: [UInt8], _ path: String, _ name: String
    ) throws(ClientError) -> [(JSONValue, JobPlace)] {
        let first = bytes.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        let isYAML = path.hasSuffix(".yaml") || path.hasSuffix(".yml")
        let looksLikeJSON = first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
        if path.hasSuffix(".json") || looksLikeJSON && !isYAML {
            do {
                return [(try StrictJSON.parse(bytes), JobPlace(file: name))]
            } catch {
                let line = bytes[..<min(error.offset, bytes.count)].reduce(1) { $1 == 0x0A ? $0 + 1 : $0 }
                throw ClientError(
                    .badInput, "\(name), line \(line): is not valid JSON: \(error.reason)",
                    hint: "write one JSON object, or name the file .yaml")
            }
        }
        do {
            return try StrictYAML.parse(bytes).map { ($0.value, JobPlace(file: name, document: $0)) }
        } catch {
            throw ClientError(
                .badInput, "\(name), line \(error.line): \(error.reason)",
                hint: "what is read is the part of YAML that all readers understand alike")
        }
    }
}
