// SPDX-License-Identifier: Apache-2.0

import CZlib

/// How many bytes a text takes when zlib has compressed it at its default level, 6, as Python's `zlib.compress` does:
/// the divisor of the zlib attack (Carlini et al., arXiv 2012.07805), by which texts that are easy for everybody
/// weigh less.
///
/// The library itself is linked, because the attack's reference implementations call it: another encoder of the same
/// format gives other lengths.
package enum CompressedLength {
    /// - Returns: `nil` when zlib has no memory.
    package static func of(_ text: String) -> Int? {
        var source = Array(text.utf8)
        var length = compressBound(uLong(source.count))
        var target = [UInt8](repeating: 0, count: Int(length))
        let status = compress2(&target, &length, &source, uLong(source.count), 6)
        return status == Z_OK ? Int(length) : nil
    }
}
