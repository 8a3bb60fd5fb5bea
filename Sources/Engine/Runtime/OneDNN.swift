// SPDX-License-Identifier: Apache-2.0

import CKernels

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// oneDNN's product of bfloat16 matrices, found when the program runs: neither the build nor the start needs the library.
package struct OneDNN: Sendable {
    /// Why bfloat16 products are not to be had.
    package struct Missing: Error, Hashable, CustomStringConvertible {
        package let description: String
    }

    /// c(m,n) = alpha · op(a) · op(b) + beta · c, row-major; 0 is success. The same in oneDNN 2 and 3.
    private typealias Product =
        @convention(c) (
            CChar, CChar, Int, Int, Int, Float, UnsafePointer<UInt16>, Int, UnsafePointer<UInt16>, Int, Float,
            UnsafeMutablePointer<Float>, Int
        ) -> CInt

    /// Names of the library, the older one that Debian 12 has last.
    private static let names = ["libdnnl.so.3", "libdnnl.so.2"]
    private static let symbol = "dnnl_gemm_bf16bf16f32"
    private static let plain = CChar(bitPattern: UInt8(ascii: "N"))
    private static let turned = CChar(bitPattern: UInt8(ascii: "T"))

    private let product: Product
    /// "oneDNN 2.6.3", for the record.
    package let description: String

    /// The library, on a processor that multiplies bfloat16 itself: elsewhere it would be slower than f32, or refuse.
    ///
    /// - Throws: ``Missing`` with the reason.
    package init() throws(Missing) {
        guard ck_has_bfloat16() != 0 else {
            throw Missing(description: "this processor has no bfloat16 instructions (AVX512_BF16 or AMX)")
        }
        try self.init(anyProcessor: ())
        // A small product shows whether the library agrees.
        let ones = [UInt16](repeating: 0x3f80, count: 4)
        var result = [Float](repeating: 0, count: 4)
        guard product(Self.plain, Self.plain, 2, 2, 2, 1, ones, 2, ones, 2, 0, &result, 2) == 0,
            result == [2, 2, 2, 2]
        else {
            throw Missing(description: "\(description) does not multiply bfloat16 matrices on this processor")
        }
    }

    /// The library alone, whatever the processor.
    package init(anyProcessor: Void) throws(Missing) {
        var handle: UnsafeMutableRawPointer?
        for name in Self.names where handle == nil { handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) }
        guard let handle else {
            throw Missing(description: "oneDNN is not installed (Debian: libdnnl2)")
        }
        guard let address = dlsym(handle, Self.symbol) else {
            throw Missing(description: "the installed oneDNN lacks \(Self.symbol)")
        }
        product = unsafeBitCast(address, to: Product.self)
        var text = "oneDNN"
        if let address = dlsym(handle, "dnnl_version") {
            let version = unsafeBitCast(
                address, to: (@convention(c) () -> UnsafePointer<CInt>?).self)()
            if let version { text += " \(version[0]).\(version[1]).\(version[2])" }
        }
        description = text
    }

    /// c(m,n) = a · b + beta · c on the calling thread; a and b are stored (m,k) and (k,n), or transposed.
    ///
    /// - Returns: Whether the library did it.
    func multiply(
        _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<UInt16>, _ lda: Int,
        transposed isLeftTransposed: Bool,
        _ b: UnsafePointer<UInt16>, _ ldb: Int, transposed isRightTransposed: Bool, beta: Float,
        _ c: UnsafeMutablePointer<Float>, stride: Int
    ) -> Bool {
        product(
            isLeftTransposed ? Self.turned : Self.plain, isRightTransposed ? Self.turned : Self.plain, m, n,
            k, 1, a,
            lda, b, ldb, beta, c, stride) == 0
    }
}
