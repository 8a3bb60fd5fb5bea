// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Where the worker's program is, and the environment that it gets.
enum WorkerExecutable {
    static let name = "unlearnd-worker"

    /// The configured path, or the program beside this one, in `../libexec/unlearnd` or `../lib/unlearnd`.
    static func find(configured: String?) -> String? {
        if let configured { return access(configured, X_OK) == 0 ? configured : nil }
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { return nil }
        let path = String(decoding: buffer[..<count], as: UTF8.self)
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        return [
            "\(folder)/\(name)", "\(folder)/../libexec/unlearnd/\(name)", "\(folder)/../lib/unlearnd/\(name)",
        ]
        .first { access($0, X_OK) == 0 }
    }

    /// Built from nothing: what an operator's shell exports must not change results.
    static func environment(features: CPUFeatures = .current) -> [String: String] {
        var environment = [
            "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TMPDIR": "/tmp",
            "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
        ]
        if let type = features.openBLASCoreType { environment["OPENBLAS_CORETYPE"] = type }
        // Where NVIDIA's libraries are, if not where the system looks.
        if let folders = getenv("UNLEARND_CUDA_PATH") {
            environment["UNLEARND_CUDA_PATH"] = String(cString: folders)
        }
        // For tests that let a worker die at a certain place.
        if let point = getenv("UNLEARND_WORKER_FAILPOINT") {
            environment["UNLEARND_WORKER_FAILPOINT"] = String(cString: point)
        }
        return environment
    }
}
