// SPDX-License-Identifier: Apache-2.0

/// The data that an evaluation can be given.
package enum GateData: String, Hashable, Sendable, CaseIterable {
    case forget, retain, holdout, reference

    /// The option that supplies it.
    package var option: String { self == .reference ? "--reference MODEL" : "--\(rawValue) FILE" }
}

/// A figure that a gate can bound.
package enum GateFigure: String, Hashable, Sendable, CaseIterable {
    /// Accuracy on the forget set; with a label, forget quality.
    case forget
    /// Accuracy on the retain set.
    case retain
    /// Membership inference AUC.
    case auc
    /// Retain accuracy after the job, divided by that before it.
    case utility
    case forgetLoss = "forget_loss"
    case retainLoss = "retain_loss"
    case holdoutLoss = "holdout_loss"

    /// The sets that it is measured on.
    package var data: Set<GateData> {
        switch self {
        case .forget, .forgetLoss: [.forget]
        case .retain, .retainLoss, .utility: [.retain]
        case .auc: [.forget, .holdout]
        case .holdoutLoss: [.holdout]
        }
    }

    /// The name of the figure in ``EvaluationFigures``, by which reasons are kept.
    var reasonKey: String {
        switch self {
        case .forget: "forget_accuracy"
        case .retain, .utility: "retain_accuracy"
        case .auc: "membership_inference_auc"
        case .forgetLoss, .retainLoss, .holdoutLoss: rawValue
        }
    }

    /// The largest value that a bound can have.
    var largestBound: Double {
        switch self {
        case .forget, .retain, .auc: 1
        case .utility, .forgetLoss, .retainLoss, .holdoutLoss: .greatestFiniteMagnitude
        }
    }

    /// The value in `figures`; `before` is what utility is measured against.
    func value(in figures: EvaluationFigures, before: EvaluationFigures?) -> Double? {
        let value: Double? =
            switch self {
            case .forget: figures.forgetAccuracy
            case .retain: figures.retainAccuracy
            case .auc: figures.membershipInferenceAUC
            case .forgetLoss: figures.forgetLoss
            case .retainLoss: figures.retainLoss
            case .holdoutLoss: figures.holdoutLoss
            case .utility:
                if let after = figures.retainAccuracy, let before = before?.retainAccuracy, before > 0 {
                    // Rounded, so that 0.72 of 0.8 is 0.9, which the binary quotient is not.
                    (after / before * 1e12).rounded() / 1e12
                } else {
                    nil
                }
            }
        return value.finite
    }
}

/// One condition of a gate.
package enum GateCondition: Hashable, Sendable, CustomStringConvertible {
    /// `forget=LABEL`: forget quality of at least the label.
    case forgetQuality(ForgetQuality)
    /// `privacy=LABEL`: leakage of at most the label.
    case privacyLeakage(PrivacyLeakage)
    /// `NAME<=x`.
    case atMost(GateFigure, Double)
    /// `NAME>=x`.
    case atLeast(GateFigure, Double)
    /// `NAME~d`: within d of the reference version's figure.
    case near(GateFigure, Double)

    /// The figure's name as the gate spells it.
    package var name: String {
        switch self {
        case .forgetQuality: "forget"
        case .privacyLeakage: "privacy"
        case .atMost(let figure, _), .atLeast(let figure, _), .near(let figure, _): figure.rawValue
        }
    }

    /// What is required of it: a label, or an operator and a number.
    package var required: String {
        switch self {
        case .forgetQuality(let label): label.rawValue
        case .privacyLeakage(let label): label.rawValue
        case .atMost(_, let number), .atLeast(_, let number), .near(_, let number): "\(symbol)\(number)"
        }
    }

    /// The data without which it cannot be judged.
    package var requiredData: Set<GateData> {
        switch self {
        case .forgetQuality: [.forget, .retain]
        case .privacyLeakage: [.forget, .holdout]
        case .atMost(let figure, _), .atLeast(let figure, _): figure.data
        case .near(let figure, _): figure.data.union([.reference])
        }
    }

    private var symbol: String {
        switch self {
        case .forgetQuality, .privacyLeakage: "="
        case .atMost: "<="
        case .atLeast: ">="
        case .near: "~"
        }
    }

    /// The condition as a gate spells it.
    package var description: String {
        switch self {
        case .forgetQuality, .privacyLeakage: "\(name)=\(required)"
        default: name + required
        }
    }

    /// Figure and operator, which two conditions of one gate may not share.
    var slot: String { name + symbol }
}
