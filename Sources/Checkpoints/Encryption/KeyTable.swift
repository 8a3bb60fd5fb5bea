// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Keys as bytes, for what is sealed or handed to a worker, all little-endian:
///
/// ```
/// keys that were destroyed so far u64
/// count u32 | count × { name [16] | created i64 | 0 u8 | seed [32]
///                     or name [16] | created i64 | 1 u8 | files u32 | files × { salt [16] | key [32] } }
/// ```
enum KeyTable {
    static func bytes(_ keys: some Collection<VersionKey>, destroyed: Int = 0) -> [UInt8] {
        var bytes: [UInt8] = []
        append(UInt64(destroyed), to: &bytes)
        append(UInt32(keys.count), to: &bytes)
        for key in keys {
            bytes += key.name.bytes
            append(key.created, to: &bytes)
            switch key.form {
            case .seed(let seed): bytes += [0] + seed.bytes
            case .files(let files):
                bytes.append(1)
                append(UInt32(files.count), to: &bytes)
                for (salt, key) in files { bytes += salt.bytes + key.bytes }
            }
        }
        return bytes
    }

    /// The keys, and how many were destroyed; `nil` for anything that ``bytes(_:destroyed:)`` does not give.
    static func keys(_ bytes: [UInt8]) -> (keys: [VersionKey], destroyed: Int)? {
        var rest = bytes[...]
        func take(_ count: Int) -> ArraySlice<UInt8>? {
            guard rest.count >= count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count)
        }
        func number<N: FixedWidthInteger>(_: N.Type) -> N? {
            take(MemoryLayout<N>.size)?.reversed().reduce(0) { $0 << 8 | N(truncatingIfNeeded: $1) }
        }
        var keys: [VersionKey] = []
        guard let destroyed = number(UInt64.self).flatMap({ Int(exactly: $0) }),
            let count = number(UInt32.self)
        else { return nil }
        for _ in 0..<count {
            guard let name = take(KeyName.size).flatMap(KeyName.init), let created = number(Int64.self)
            else { return nil }
            switch number(UInt8.self) {
            case 0:
                guard let seed = take(SealingKey.size).flatMap(SealingKey.init) else { return nil }
                keys.append(VersionKey(name: name, created: created, form: .seed(seed)))
            case 1:
                guard let count = number(UInt32.self) else { return nil }
                var files: [KeyName: SealingKey] = [:]
                for _ in 0..<count {
                    guard let salt = take(KeyName.size).flatMap(KeyName.init),
                        let key = take(SealingKey.size).flatMap(SealingKey.init)
                    else { return nil }
                    files[salt] = key
                }
                keys.append(VersionKey(name: name, created: created, form: .files(files)))
            default: return nil
            }
        }
        return rest.isEmpty ? (keys, destroyed) : nil
    }

    /// Bytes in base 64.
    static func text(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

    /// Bytes of a text in base 64.
    static func bytes(of text: String) -> [UInt8]? { Data(base64Encoded: text).map { Array($0) } }

    static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }
}
