// SPDX-License-Identifier: Apache-2.0

/// What an evaluation can be given, and an attack that can be made on its result.
package enum GateData: String, Hashable, Sendable, CaseIterable {
    case forget, retain, holdout, utility, reference
    // Attacks.
    case relearn, quantize, prompt, probe

    /// What is missing without it, in words.
    package var thing: String {
        switch self {
        case .reference: "a reference version"
        case .forget, .retain, .holdout, .utility: "a \(rawValue) set"
        case .relearn, .quantize, .prompt, .probe: "the attack \(rawValue)"
        }
    }

    /// The option that supplies it.
    package var option: String {
        switch self {
        case .reference: "--reference MODEL"
        case .forget, .retain, .holdout, .utility: "--\(rawValue) FILE"
        case .relearn, .quantize, .prompt, .probe: "--attack \(rawValue)"
        }
    }
}
