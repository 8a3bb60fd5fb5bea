// SPDX-License-Identifier: Apache-2.0

/// The numbers of a gradient method where its job gives none; those of its paper or of OpenUnlearning, unless a comment
/// says otherwise.
package struct MethodDefaults: Sendable, Hashable {
    /// Weight of the forget term.
    package var gamma = 1.0
    /// Weight of the retain term where there is a retain set.
    package var alpha = 1.0
    /// Whether the method is published without a retain term, so that it may go without.
    package var holdsByItself = false
    /// Sharpness of a preference loss, exponent or lowering, as the method has it.
    package var beta: Double?
    package var betaUnknown: Double?
    /// SimNPO's δ.
    package var margin: Double?

    /// PDU.
    package static let dualRate = 1.0
    /// PDU.
    package static let dualWarmUpEpochs = 5
    /// RMU: the length of the vector steered to.
    package static let steering = 2.0
    /// CE-U.
    package static let skip = 1
    /// AltPO: answers drawn for each row.
    package static let alternates = 5
    /// AltPO: the longest drawn answer, tokens.
    package static let alternateTokens = 200
    /// `generate`: new tokens of a text.
    package static let newTokens = 32
    /// Evaluation: new tokens of what a row's prompt is continued with.
    package static let measuredNewTokens = 200
    /// Attacks by prompts: rows, continuations of each beside the greedy one, and tokens of a continuation beyond the answer's
    /// length.
    package static let attackedRows = 32
    package static let attackSamples = 4
    package static let answerRoom = 16
    /// The same: virtual tokens that are learned, and tokens of a suffix that is searched.
    package static let virtualTokens = 16
    package static let suffixTokens = 16
    /// `update`: the new answer counts as much as the old one; our choice.
    package static let replacementWeight = 1.0

    /// RMU: the block steered, counted from 0: 7 as published, or the middle one of a model of fewer than 16.
    package static func layer(of layers: Int) -> Int { min(7, max(0, layers - 1) / 2) }

    /// `update` by edit: the layers that are edited, the middle one last; our choice.
    package static func factLayers(of layers: Int) -> ClosedRange<Int> {
        let last = max(0, layers - 1) / 2
        return max(0, last - min(4, layers / 8))...last
    }

    init() {}
}

extension JobKind {
    /// The method's numbers.
    package var defaults: MethodDefaults {
        var defaults = MethodDefaults()
        switch self {
        case .npo, .dpo, .idk, .altpo, .update: defaults.beta = 0.1
        case .simnpo: (defaults.gamma, defaults.beta, defaults.margin) = (0.125, 4.5, 0)
        case .undial: (defaults.beta, defaults.holdsByItself) = (10, true)
        case .wga: defaults.beta = 1
        case .satimp: (defaults.gamma, defaults.beta, defaults.betaUnknown) = (0.1, 5, 1)
        case .ceu: defaults.holdsByItself = true
        default: break
        }
        return defaults
    }
}

extension JobSpec {
    /// The weight of the retain term of a gradient method with two coefficients.
    ///
    /// Whoever gives a retain set wants it held, also by methods that are published without.
    package var retainWeight: Double {
        parameters?.alpha ?? (kind.defaults.holdsByItself && retain == nil ? 0 : kind.defaults.alpha)
    }

    /// Whether it is an `update` that edits and does not train.
    package var editsFacts: Bool { kind == .update && parameters?.by == .edit }

    /// Whether several ranks share its steps: then their number decides the last bits of the result.
    package var sharesGradients: Bool { kind.trains && !editsFacts }

    /// Whether it cannot be trained without a retain set.
    package var needsRetain: Bool {
        switch kind {
        case .ascent: parameters?.alpha != 1
        // A weight of 0 is where its dual variable may begin.
        case .pdu: true
        case .update where editsFacts: false
        default: kind.weighsTwoTerms && retainWeight != 0
        }
    }

    /// Whether each step has a batch of the retain set beside that of the forget set.
    ///
    /// `ascent` looks at the retain loss even where it has no weight.
    package var pairsRetain: Bool { retain != nil && (kind == .ascent || needsRetain) }
}
