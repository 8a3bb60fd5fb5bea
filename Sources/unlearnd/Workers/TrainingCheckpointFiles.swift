// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// The training checkpoints in the state directory: `training/JOB.checkpoint`, one for each job at most.
///
/// Workers write them, under another name first; the daemon removes them. They hold traces of the jobs' data.
struct TrainingCheckpointFiles: Sendable {
    private static let suffix = ".checkpoint"
    /// What a worker adds to the name of a file that is not whole yet.
    private static let unfinished = ".new"

    private let directory: String

    /// The files in a state directory.
    init(_ stateDirectory: String) { directory = stateDirectory + "/training" }

    /// Where the checkpoint of a job lies.
    func path(of job: JobID) -> String { "\(directory)/\(job)\(Self.suffix)" }

    /// Makes the directory.
    /// - Returns: Whether it is there.
    func make() -> Bool { mkdir(directory, 0o700) == 0 || errno == EEXIST }

    /// The jobs that have files.
    var jobs: Set<JobID> { Set(names.compactMap(Self.job)) }

    /// The size of all files, bytes.
    var bytes: Int64 {
        names.reduce(0) { sum, name in
            var status = stat()
            return lstat("\(directory)/\(name)", &status) == 0 ? sum + Int64(status.st_size) : sum
        }
    }

    /// Removes what belongs to `jobs`, and the unfinished files of all jobs if no worker is there.
    func remove(_ jobs: Set<JobID>, unfinished: Bool = false) {
        for name in names {
            let isDone = Self.job(name).map(jobs.contains) ?? false
            if isDone || unfinished && name.hasSuffix(Self.unfinished) { unlink("\(directory)/\(name)") }
        }
    }

    private var names: [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if Self.job(name) != nil { names.append(name) }
        }
        return names
    }

    private static func job(_ name: String) -> JobID? {
        let whole = name.hasSuffix(unfinished) ? String(name.dropLast(unfinished.count)) : name
        return whole.hasSuffix(suffix) ? JobID(whole.dropLast(suffix.count)) : nil
    }
}
