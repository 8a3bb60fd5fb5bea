// SPDX-License-Identifier: Apache-2.0

import CCUDA

/// A card of NVIDIA's and what runs on it: memory, kernels, matrix products, one after another on one stream.
///
/// For one thread at a time. Nothing here was run on a card yet: the tests run it on a card that the processor plays.
package final class CUDACard: @unchecked Sendable {
    /// The oldest cards with bfloat16 products and asynchronous copies: compute capability 8.0.
    static let leastArchitecture = 80
    /// What cuBLASLt may use beside its operands, bytes; what NVIDIA recommends for Hopper.
    static let workspace = 32 << 20

    /// Its name, as the driver gives it.
    package let name: String
    /// Ten times its compute capability: 90 for Hopper.
    package let architecture: Int
    /// All of its memory, bytes.
    package let memory: Int
    /// Versions of what runs on it.
    let software: String

    let libraries: CUDALibraries
    let stream: UnsafeMutableRawPointer
    /// Shared memory that a block can have, bytes.
    let sharedMemory: Int
    private let device: Int32
    private let context: UnsafeMutableRawPointer
    /// f32 logits that are in memory at one time.
    package var logitBudget = CUDAPlan.logitBudget
    private var programs: [Int: CUDAProgram] = [:]
    private var multiplier: CUDAProducts?

    /// Opens the first card.
    ///
    /// - Parameter folders: Where NVIDIA's libraries are looked for before the system's own places; what
    ///   `UNLEARND_CUDA_PATH` says unless given.
    /// - Throws: ``EngineError`` with `.unsupportedMachine` that says what is missing.
    package init(folders: String? = nil) throws(EngineError) {
        let libraries = try CUDALibraries(folders: folders ?? CUDALibraries.folders)
        let driver = libraries.driver
        func check(_ code: Int32, _ what: String) throws(EngineError) {
            guard code != 0 else { return }
            throw EngineError(
                .unsupportedMachine, "no card can be used: \(what): \(Self.words(code, driver))",
                hint:
                    "See what nvidia-smi says, and whether this user may open /dev/nvidia*; or compute with --device cpu."
            )
        }
        try check(driver.begin(0), "the driver does not start")
        var count: Int32 = 0
        try check(driver.device_count(&count), "the driver counts no cards")
        guard count > 0 else {
            throw EngineError(
                .unsupportedMachine, "no card can be used: the driver sees none",
                hint: "See what nvidia-smi says; or compute with --device cpu.")
        }
        var device: Int32 = 0
        try check(driver.device(&device, 0), "the first one is not to be had")
        func attribute(_ number: Int) throws(EngineError) -> Int {
            var value: Int32 = 0
            try check(driver.device_attribute(&value, Int32(number), device), "it tells nothing of itself")
            return Int(value)
        }
        var text = [CChar](repeating: 0, count: 256)
        try check(driver.device_name(&text, Int32(text.count), device), "it has no name")
        name = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        architecture =
            try attribute(Int(CC_ATTRIBUTE_MAJOR)) * 10 + attribute(Int(CC_ATTRIBUTE_MINOR))
        guard architecture >= Self.leastArchitecture else {
            throw EngineError(
                .unsupportedMachine,
                "\(name) has the compute capability \(architecture / 10).\(architecture % 10), and 8.0 is needed for products in bfloat16",
                hint: "Compute with --device cpu.")
        }
        sharedMemory = try attribute(Int(CC_ATTRIBUTE_SHARED_MEMORY))
        var bytes = 0
        try check(driver.device_memory(&bytes, device), "it tells nothing of its memory")
        memory = bytes
        var context: UnsafeMutableRawPointer?
        try check(driver.retain_context(&context, device), "it makes no context")
        try check(driver.set_context(context), "its context cannot be used")
        var stream: UnsafeMutableRawPointer?
        try check(driver.create_stream(&stream, UInt32(CC_STREAM_NON_BLOCKING)), "it makes no stream")
        guard let context, let stream else {
            throw EngineError(
                .unsupportedMachine, "no card can be used: the driver made nothing",
                hint: "See what nvidia-smi says; or compute with --device cpu.")
        }
        (self.device, self.context, self.stream, self.libraries) = (device, context, stream, libraries)
        var version: Int32 = 0
        _ = driver.driver_version(&version)
        var (major, minor): (Int32, Int32) = (0, 0)
        _ = libraries.compiler.version(&major, &minor)
        let products = libraries.products.version()
        software =
            "driver for CUDA \(version / 1000).\(version % 1000 / 10), NVRTC \(major).\(minor), cuBLASLt \(products / 10000).\(products / 100 % 100).\(products % 100)"
    }

    deinit {
        multiplier = nil
        programs = [:]
        _ = libraries.driver.destroy_stream(stream)
        _ = libraries.driver.release_context(device)
    }

    /// For the record: what the bits of a result depend on.
    package var description: String {
        "bf16 on \(name) (compute capability \(architecture / 10).\(architecture % 10), \(software))"
    }

    /// Bytes of its memory that nobody uses now.
    package func freeMemory() throws(EngineError) -> Int {
        var (free, total) = (0, 0)
        try check(libraries.driver.memory_info(&free, &total), "asking for free memory")
        return free
    }

    /// Waits until all is done that was asked for.
    func wait() throws(EngineError) { try check(libraries.driver.wait(stream), "computing") }

    /// - Throws: ``EngineError`` with `.resources` where its memory is used up, else with `.deviceFailure`.
    func check(_ code: Int32, _ what: String) throws(EngineError) {
        guard code != 0 else { return }
        let words = Self.words(code, libraries.driver)
        if Int(code) == CC_OUT_OF_MEMORY {
            throw EngineError(
                .resources, "\(name) has no memory left (\(what))",
                hint: "Use a smaller --batch-size or --max-length, or wait until others have left the card.")
        }
        throw EngineError(
            .deviceFailure, "\(name) failed while \(what): \(words)",
            hint:
                "Try the job again; where that does not help, compute with --device cpu, and look for Xid messages in the kernel's log."
        )
    }

    private static func words(_ code: Int32, _ driver: cc_driver) -> String {
        var (name, text): (UnsafePointer<CChar>?, UnsafePointer<CChar>?) = (nil, nil)
        _ = driver.error_name(code, &name)
        _ = driver.error_text(code, &text)
        let words = [name, text].compactMap { $0.map { String(cString: $0) } }
        return words.isEmpty ? "error \(code)" : "\(words.joined(separator: ", ")) (\(code))"
    }

    /// The kernels for heads of that size, compiled once.
    package func program(headSize: Int) throws(EngineError) -> CUDAProgram {
        if let program = programs[headSize] { return program }
        let program = try CUDAProgram(self, headSize: headSize)
        programs[headSize] = program
        return program
    }

    /// Matrix products.
    package func products() throws(EngineError) -> CUDAProducts {
        if let multiplier { return multiplier }
        let made = try CUDAProducts(self)
        multiplier = made
        return made
    }
}

extension CUDAProgram {
    /// Machine code of the kernels by the compiler that is found, which needs no card.
    ///
    /// - Throws: ``EngineError`` with `.unsupportedMachine`.
    package static func compile(folders: String?, architecture: Int, headSize: Int) throws(EngineError)
        -> [CChar]
    {
        try compile(
            CUDALibraries.compiler(folders: folders), architecture: architecture, headSize: headSize)
    }
}

extension CUDAProducts {
    /// The version of cuBLASLt that is found, all of whose calls are there.
    ///
    /// - Throws: ``EngineError`` with `.unsupportedMachine`.
    package static func version(folders: String?) throws(EngineError) -> Int {
        try CUDALibraries.products(folders: folders).version()
    }
}
