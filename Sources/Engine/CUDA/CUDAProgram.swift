// SPDX-License-Identifier: Apache-2.0

import CCUDA

/// The kernels, compiled for one card and one size of heads.
package final class CUDAProgram {
    /// An argument of a kernel.
    package enum Argument {
        case floats(CUDAFloats?)
        case halves(CUDAHalves?)
        case integers(CUDAIntegers?)
        case doubles(UInt64)
        case int(Int)
        case long(Int)
        case float(Float)

        /// Its bytes, in the low end of a word.
        fileprivate var word: UInt64 {
            switch self {
            case .floats(let place): place?.address ?? 0
            case .halves(let place): place?.address ?? 0
            case .integers(let place): place?.address ?? 0
            case .doubles(let address): address
            case .int(let value): UInt64(UInt32(bitPattern: Int32(value)))
            case .long(let value): UInt64(bitPattern: Int64(value))
            case .float(let value): UInt64(value.bitPattern)
            }
        }
    }

    /// Threads of a block, and rows that a block has where each warp has one: `THREADS` and `WARPS` of the kernels.
    package static let threads = 256
    package static let warps = threads / 32

    private unowned let card: CUDACard
    private let libraries: CUDALibraries
    private let module: UnsafeMutableRawPointer
    private var functions: [String: UnsafeMutableRawPointer] = [:]
    private var shared: [String: Int] = [:]

    /// Compiles them.
    init(_ card: CUDACard, headSize: Int) throws(EngineError) {
        let image = try Self.compile(
            card.libraries.compiler, architecture: card.architecture, headSize: headSize)
        var module: UnsafeMutableRawPointer?
        try card.check(card.libraries.driver.load_module(&module, image), "loading the kernels")
        guard let module else {
            throw EngineError(
                .deviceFailure, "\(card.name) loaded no kernels", hint: "Compute with --device cpu.")
        }
        self.card = card
        libraries = card.libraries
        self.module = module
    }

    deinit { _ = libraries.driver.unload_module(module) }

    /// The text of all kernels.
    package static var text: String {
        var text = ""
        var next = 0
        while let part = cc_kernels(next) {
            text += String(cString: part)
            next += 1
        }
        return text
    }

    /// Machine code for cards of one architecture.
    ///
    /// - Throws: ``EngineError`` with `.unsupportedMachine` and what the compiler says.
    static func compile(_ compiler: cc_compiler, architecture: Int, headSize: Int) throws(EngineError)
        -> [CChar]
    {
        var program: UnsafeMutableRawPointer?
        func fault(_ code: Int32, _ log: String = "") -> EngineError {
            let words = compiler.error_text(code).map { String(cString: $0) } ?? "error \(code)"
            return EngineError(
                .unsupportedMachine,
                "CUDA's compiler does not compile the kernels for compute capability \(architecture / 10).\(architecture % 10): \(words) \(log)",
                hint: "Install a version of NVRTC that knows the card; or compute with --device cpu.")
        }
        var code = compiler.create(&program, text, "kernels.cu", 0, nil, nil)
        guard code == 0, let made = program else { throw fault(code) }
        defer { _ = compiler.destroy(&program) }
        // Sums are written as they are to be rounded: nothing is contracted behind their back.
        let options = [
            "--gpu-architecture=sm_\(architecture)", "--std=c++17", "--fmad=false", "-DHEAD_SIZE=\(headSize)",
        ]
        var pointers: [UnsafePointer<CChar>?] = options.map { option in
            option.withCString { text in
                let copy = UnsafeMutablePointer<CChar>.allocate(capacity: option.utf8.count + 1)
                copy.update(from: text, count: option.utf8.count + 1)
                return UnsafePointer(copy)
            }
        }
        defer { for pointer in pointers { pointer?.deallocate() } }
        code = compiler.compile(made, Int32(options.count), &pointers)
        var size = 0
        guard code == 0 else {
            _ = compiler.log_size(made, &size)
            var log = [CChar](repeating: 0, count: size + 1)
            _ = compiler.log(made, &log)
            throw fault(
                code,
                String(
                    decoding: log.prefix { $0 != 0 }.prefix(2000).map(UInt8.init(bitPattern:)), as: UTF8.self)
            )
        }
        code = compiler.image_size(made, &size)
        guard code == 0, size > 0 else { throw fault(code) }
        var image = [CChar](repeating: 0, count: size)
        code = compiler.image(made, &image)
        guard code == 0 else { throw fault(code) }
        return image
    }

    /// Starts a kernel; `blocks` may be none.
    ///
    /// - Parameters:
    ///   - rows: Blocks in the second direction.
    ///   - shared: Bytes of shared memory that the kernel asks for.
    package func launch(
        _ name: String, blocks: Int, rows: Int = 1, threads: Int = CUDAProgram.threads, shared bytes: Int = 0,
        _ arguments: Argument...
    ) throws(EngineError) {
        guard blocks > 0, rows > 0 else { return }
        let function = try function(name)
        if bytes > 48 << 10, bytes > shared[name] ?? 0 {
            try card.check(
                card.libraries.driver.set_function_attribute(
                    function, Int32(CC_FUNCTION_SHARED_MEMORY), Int32(bytes)),
                "setting shared memory of \(name) aside")
            shared[name] = bytes
        }
        let driver = card.libraries.driver
        var words = arguments.map(\.word)
        let code = words.withUnsafeMutableBufferPointer { words in
            withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer?.self, capacity: words.count) {
                places in
                for index in words.indices {
                    places[index] = UnsafeMutableRawPointer(words.baseAddress?.advanced(by: index))
                }
                return driver.launch(
                    function, UInt32(blocks), UInt32(rows), 1, UInt32(threads), 1, 1, UInt32(bytes),
                    card.stream, places.baseAddress, nil)
            }
        }
        try card.check(code, "starting \(name)")
    }

    private func function(_ name: String) throws(EngineError) -> UnsafeMutableRawPointer {
        if let function = functions[name] { return function }
        var function: UnsafeMutableRawPointer?
        try card.check(card.libraries.driver.function(&function, module, name), "looking for \(name)")
        guard let function else {
            throw EngineError(
                .deviceFailure, "\(card.name) has no kernel \(name)", hint: "Compute with --device cpu.")
        }
        functions[name] = function
        return function
    }
}
