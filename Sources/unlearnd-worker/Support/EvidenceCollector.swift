// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// Gathers a job's evidence until its end, when all of it is sent before the result.
///
/// `context.evidence.add(.units, ["neurons": …])`: that is all a job has to do. ``EvidenceName`` fixes the shapes.
/// Numbers are kept with seven significant digits.
final class EvidenceCollector {
    private var parts: [(name: EvidenceName, data: JSONValue, texts: JSONValue?)] = []

    /// Adds to a piece: members of the object `data` join those that are there; arrays of one name are joined end to
    /// end, objects of one name member by member, and anything else is replaced. Likewise `texts`.
    ///
    /// - Parameters:
    ///   - data: An object of numbers, digests and technical names. Never what a person wrote or a model said.
    ///   - texts: An object with the texts that the data are about; a purge takes it.
    func add(_ name: EvidenceName, _ data: JSONValue, texts: JSONValue? = nil) {
        let data = Self.rounded(data)
        guard let index = parts.firstIndex(where: { $0.name == name }) else {
            parts.append((name, data, texts))
            return
        }
        parts[index].data = Self.joined(parts[index].data, data)
        if let texts { parts[index].texts = parts[index].texts.map { Self.joined($0, texts) } ?? texts }
    }

    /// What was gathered.
    var pieces: [EvidencePiece] {
        parts.map { EvidencePiece(name: $0.name, data: $0.data, texts: $0.texts) }
    }

    private static func joined(_ old: JSONValue, _ new: JSONValue) -> JSONValue {
        switch (old, new) {
        case (.array(let first), .array(let second)): return .array(first + second)
        case (.object(var object), .object(let other)):
            for member in other.members {
                object[member.key] = object[member.key].map { joined($0, member.value) } ?? member.value
            }
            return .object(object)
        default: return new
        }
    }

    private static func rounded(_ value: JSONValue) -> JSONValue {
        switch value {
        case .number(let number): return number.isFinite ? .number(rounded(number)) : .null
        case .array(let elements): return .array(elements.map(rounded))
        case .object(let object):
            return .object(
                object.members.reduce(into: JSONObject()) { $0[$1.key] = rounded($1.value) })
        default: return value
        }
    }

    /// The decimal of seven significant digits nearest to `number`.
    private static func rounded(_ number: Double) -> Double {
        guard number != 0 else { return 0 }
        let places = 6 - Int(log10(abs(number)).rounded(.down))
        guard abs(places) <= 22 else { return number }
        let scale = pow(10, Double(abs(places)))
        return places >= 0 ? (number * scale).rounded() / scale : (number / scale).rounded() * scale
    }
}
