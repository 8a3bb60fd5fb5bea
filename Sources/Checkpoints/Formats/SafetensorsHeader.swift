// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The header of a safetensors file, read strictly.
///
/// The rules are those of the reference implementation (`safetensors` 0.5, `tensor.rs`) and, where it is laxer
/// than its own schema, those of the schema: no unknown or repeated member, plain non-negative integers, and
/// data that the tensors cover without a gap or an overlap. The bytes themselves are kept verbatim by the store.
package struct SafetensorsHeader: Hashable, Sendable {
    /// One tensor.
    package struct Tensor: Hashable, Sendable {
        package var name: String
        package var dtype: DType
        package var shape: [Int]
        /// First byte, counted from the beginning of the file.
        package var offset: Int
        /// Bytes.
        package var size: Int
    }

    /// How much a header may hold.
    package struct Limits: Sendable {
        /// Bytes of JSON. The format allows 100 000 000.
        package var bytes: Int
        /// Tensors in one file.
        package var tensors: Int

        /// The defaults suit models with hundreds of thousands of tensors.
        package init(bytes: Int = 32 << 20, tensors: Int = 1_000_000) {
            self.bytes = bytes
            self.tensors = tensors
        }
    }

    /// The tensors in the order of their data; of those that share an offset, empty ones first.
    package var tensors: [Tensor]
    /// The `__metadata__` pairs.
    package var metadata: [String: String]
    /// Bytes of the length field and the JSON together: where the data begins.
    package var size: Int

    /// Longest tensor name, bytes.
    static let longestName = 4096
    /// Largest number in a header, from the format's schema.
    static let largestNumber: Int64 = 1 << 48

    /// The length that a file's first 8 bytes state, checked against the file's size and the limits.
    /// - Throws: ``CheckpointError`` `.invalidInput`.
    package static func length(
        _ prefix: [UInt8], fileSize: Int, path: String, limits: Limits = Limits()
    ) throws(CheckpointError) -> Int {
        guard prefix.count >= 8, fileSize >= 8 else {
            throw invalid(path, "has \(fileSize) bytes; a safetensors file has at least 8")
        }
        var length: UInt64 = 0
        for (index, byte) in prefix.prefix(8).enumerated() { length |= UInt64(byte) << (8 * UInt64(index)) }
        guard length <= 100_000_000 else {
            throw invalid(path, "states a header of \(length) bytes; the format allows 100000000")
        }
        guard length <= UInt64(limits.bytes) else {
            throw invalid(path, "states a header of \(length) bytes; the limit is \(limits.bytes)")
        }
        guard length <= UInt64(fileSize - 8) else {
            throw invalid(
                path, "states a header of \(length) bytes but has only \(fileSize - 8) after its length")
        }
        return Int(length)
    }

    /// Reads a header.
    ///
    /// - Parameters:
    ///   - json: The header without its length.
    ///   - fileSize: Size of the whole file.
    ///   - path: The file's name, for messages.
    /// - Throws: ``CheckpointError`` `.invalidInput` naming the tensor and the rule.
    package init(json: [UInt8], fileSize: Int, path: String, limits: Limits = Limits())
        throws(CheckpointError)
    {
        let value: JSONValue
        do throws(StrictJSON.Failure) {
            value = try StrictJSON.parse(
                json,
                limits: StrictJSON.Limits(
                    depth: 4, membersPerObject: limits.tensors + 1, values: 16 * limits.tensors + 1024))
        } catch {
            throw Self.invalid(path, "has a header that is not strict JSON: \(error)")
        }
        guard case .object(let root) = value else {
            throw Self.invalid(path, "has a header that is \(value.kindName) instead of an object")
        }
        size = 8 + json.count
        tensors = []
        metadata = [:]
        let data = fileSize - size
        tensors.reserveCapacity(root.count)
        for member in root.members {
            if member.key == "__metadata__" {
                metadata = try Self.metadata(member.value, path)
            } else {
                tensors.append(try Self.tensor(member.key, member.value, data: data, path))
            }
        }
        tensors.sort { ($0.offset, $0.size) < ($1.offset, $1.size) }
        var end = 0
        for tensor in tensors {
            guard tensor.offset == end else {
                let rule = tensor.offset < end ? "overlaps the tensor before it" : "leaves a gap before it"
                throw Self.invalid(
                    path, "has tensor \(quoted(tensor.name)) at byte \(tensor.offset), which \(rule)")
            }
            end += tensor.size
        }
        guard end == data else {
            throw Self.invalid(
                path,
                data > end
                    ? "has \(data - end) bytes after its last tensor"
                    : "ends \(end - data) bytes before its last tensor does")
        }
        for index in tensors.indices { tensors[index].offset += size }
    }

    private static func tensor(
        _ name: String, _ value: JSONValue, data: Int, _ path: String
    ) throws(CheckpointError) -> Tensor {
        func wrong(_ rule: String) -> CheckpointError { invalid(path, "has tensor \(quoted(name)) \(rule)") }
        guard !name.isEmpty else { throw invalid(path, "has a tensor without a name") }
        guard name.utf8.count <= longestName else {
            throw wrong("with a name of more than \(longestName) bytes")
        }
        guard case .object(let fields) = value else { throw wrong("that is \(value.kindName)") }
        for key in fields.keys where !["dtype", "shape", "data_offsets"].contains(key) {
            throw wrong("with the unknown member \(quoted(key))")
        }
        guard let spelled = fields["dtype"]?.stringValue else { throw wrong("without a dtype") }
        guard let dtype = DType(rawValue: spelled) else { throw wrong("of unknown dtype \(quoted(spelled))") }
        func numbers(_ key: String) throws(CheckpointError) -> [Int] {
            guard let array = fields[key]?.arrayValue else { throw wrong("whose \(key) is not an array") }
            var numbers: [Int] = []
            for element in array {
                guard let number = element.integerValue, (0...largestNumber).contains(number) else {
                    throw wrong("whose \(key) holds something else than integers from 0 to 2^48")
                }
                numbers.append(Int(number))
            }
            return numbers
        }
        let shape = try numbers("shape")
        let offsets = try numbers("data_offsets")
        guard shape.count <= 64 else { throw wrong("of \(shape.count) dimensions; 64 are allowed") }
        guard offsets.count == 2 else { throw wrong("with \(offsets.count) data_offsets instead of 2") }
        guard offsets[0] <= offsets[1] else { throw wrong("that ends before it begins") }
        guard offsets[1] <= data else {
            throw wrong("that ends at byte \(offsets[1]) of \(data) bytes of data")
        }
        // Multiplied in full before a zero can hide an overflow.
        var bits = dtype.bits
        for dimension in shape where dimension != 0 {
            let (product, overflow) = bits.multipliedReportingOverflow(by: dimension)
            if overflow { throw wrong("whose shape overflows") }
            bits = product
        }
        if shape.contains(0) { bits = 0 }
        guard bits % 8 == 0 else { throw wrong("whose elements do not fill whole bytes") }
        guard bits / 8 == offsets[1] - offsets[0] else {
            throw wrong("of \(offsets[1] - offsets[0]) bytes where its shape and dtype need \(bits / 8)")
        }
        return Tensor(name: name, dtype: dtype, shape: shape, offset: offsets[0], size: bits / 8)
    }

    private static func metadata(_ value: JSONValue, _ path: String) throws(CheckpointError) -> [String:
        String]
    {
        guard case .object(let members) = value else {
            throw invalid(path, "has a __metadata__ that is \(value.kindName) instead of an object")
        }
        var metadata: [String: String] = [:]
        for member in members.members {
            guard let text = member.value.stringValue else {
                throw invalid(path, "has metadata \(quoted(member.key)) that is \(member.value.kindName)")
            }
            metadata[member.key] = text
        }
        return metadata
    }

    private static func invalid(_ path: String, _ rule: String) -> CheckpointError {
        CheckpointError(
            .invalidInput, "\(quoted(path)) \(rule)",
            hint: "write the file again with the safetensors library")
    }
}
