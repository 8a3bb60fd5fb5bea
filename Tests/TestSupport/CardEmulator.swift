// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// A card that the processor plays (Tests/CUDAHost): the engine's own kernels, compiled for the processor, behind the calls of
/// NVIDIA's libraries.
package enum CardEmulator {
    /// Where the libraries were built, or why they were not.
    private static let built: Result<String, Missing> = build()

    /// Why there is none.
    private struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    /// The folder of the libraries.
    package static var folder: String { get throws { try built.get() } }

    /// Whether tests of the card can run; a reason is printed where they cannot.
    package static let isThere: Bool = {
        switch built {
        case .success: return true
        case .failure(let missing):
            print("tests of the card are skipped: \(missing)")
            return false
        }
    }()

    private static func build() -> Result<String, Missing> {
        let sources = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "CUDAHost")
        guard FileManager.default.fileExists(atPath: sources.appending(path: "card.cc").path) else {
            return .failure(Missing(description: "\(sources.path) is not here"))
        }
        let candidates = ["/opt/swift/usr/bin", "/usr/bin", "/usr/local/bin"]
        let path = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":").map(String.init) ?? []
        guard
            let compiler = (path + candidates).lazy.map({ $0 + "/clang++" }).first(where: {
                access($0, X_OK) == 0
            })
        else { return .failure(Missing(description: "there is no clang++")) }
        let folder = FileManager.default.temporaryDirectory.appending(path: "unlearn-card-\(getpid())")
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let library = folder.appending(path: "libcard.so")
            let process = Process()
            process.executableURL = URL(filePath: compiler)
            process.arguments = [
                "-std=c++17", "-O2", "-shared", "-fPIC", "-pthread", "-DHOST_COMPILER=\"\(compiler)\"",
                "-DHOST_SOURCES=\"\(sources.path)\"", "-DHOST_FOLDER=\"\(folder.path)\"",
                sources.appending(path: "card.cc").path, "-o", library.path,
            ]
            try process.run()
            process.waitUntilExit()
            guard process.terminationStatus == 0 else {
                return .failure(Missing(description: "\(compiler) does not compile card.cc"))
            }
            for name in ["libcuda.so.1", "libnvrtc.so.12", "libcublasLt.so.12"] {
                try FileManager.default.createSymbolicLink(
                    at: folder.appending(path: name), withDestinationURL: library)
            }
        } catch { return .failure(Missing(description: "\(error)")) }
        atexit { try? FileManager.default.removeItem(atPath: CardEmulator.folder) }
        return .success(folder.path)
    }
}
