// SPDX-License-Identifier: Apache-2.0

import CCUDA

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// NVIDIA's driver, run-time compiler and matrix products, found when somebody asks for a card: nothing else of the engine
/// needs them.
final class CUDALibraries {
    /// The variable that names folders to look in first, separated by colons.
    static let variable = "UNLEARND_CUDA_PATH"

    let driver: cc_driver
    let compiler: cc_compiler
    let products: cc_products

    /// Opens the three.
    ///
    /// - Parameter folders: Where to look before the system's own places, separated by colons.
    /// - Throws: ``EngineError`` with `.unsupportedMachine` that names what is missing.
    init(folders: String?) throws(EngineError) {
        driver = try Self.open(
            ["libcuda.so.1"], folders, "the driver of NVIDIA's cards",
            remedy: "Install the driver (Debian: nvidia-driver)", cc_find_driver)
        compiler = try Self.compiler(folders: folders)
        products = try Self.products(folders: folders)
    }

    /// The compiler alone, which needs neither a driver nor a card.
    static func compiler(folders: String?) throws(EngineError) -> cc_compiler {
        try open(
            ["libnvrtc.so.12", "libnvrtc.so.13"], folders, "CUDA's run-time compiler",
            remedy: "Install it (NVIDIA's package cuda-nvrtc-12-8, or nvidia-cuda-nvrtc-cu12 from PyPI)",
            cc_find_compiler)
    }

    /// cuBLASLt alone, likewise.
    static func products(folders: String?) throws(EngineError) -> cc_products {
        try open(
            ["libcublasLt.so.12", "libcublasLt.so.13"], folders, "CUDA's matrix products",
            remedy: "Install them (NVIDIA's package libcublas-12-8, or nvidia-cublas-cu12 from PyPI)",
            cc_find_products)
    }

    private static func open<Calls>(
        _ names: [String], _ folders: String?, _ what: String, remedy: String,
        _ find: (UnsafeMutableRawPointer, UnsafeMutablePointer<Calls>) -> UnsafePointer<CChar>?
    ) throws(EngineError) -> Calls {
        let hint = "\(remedy), or name the folder that has it in \(variable); or compute with --device cpu."
        let characters = names.map { strdup($0) }
        defer { for text in characters { free(text) } }
        var reason = [CChar](repeating: 0, count: 512)
        let pointers = characters.compactMap { $0.map { UnsafePointer($0) } }
        guard let library = cc_open(pointers, pointers.count, folders, &reason, reason.count) else {
            let text = String(
                decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            throw EngineError(.unsupportedMachine, "\(what) cannot be opened: \(text)", hint: hint)
        }
        let calls = UnsafeMutablePointer<Calls>.allocate(capacity: 1)
        defer { calls.deallocate() }
        if let missing = find(library, calls) {
            throw EngineError(
                .unsupportedMachine, "\(what) has no \(String(cString: missing)): it is of another version",
                hint: hint)
        }
        return calls.move()
    }

    /// What ``variable`` says.
    static var folders: String? { getenv(variable).map { String(cString: $0) } }
}
