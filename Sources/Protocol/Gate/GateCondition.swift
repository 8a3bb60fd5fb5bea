// SPDX-License-Identifier: Apache-2.0

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

    /// `earlier=RULE`: earlier requests on the model are still forgotten.
    case earlier(EarlierRule)

    /// The figure's name as the gate spells it.
    package var name: String {
        switch self {
        case .forgetQuality: "forget"
        case .privacyLeakage: "privacy"
        case .earlier: "earlier"
        case .atMost(let figure, _), .atLeast(let figure, _), .near(let figure, _): figure.rawValue
        }
    }

    /// What is required of it: a label, or an operator and a number.
    package var required: String {
        switch self {
        case .forgetQuality(let label): label.rawValue
        case .privacyLeakage(let label): label.rawValue
        case .earlier(let rule): rule.rawValue
        case .atMost(_, let number), .atLeast(_, let number), .near(_, let number): "\(symbol)\(number)"
        }
    }

    /// The data without which it cannot be judged.
    package var requiredData: Set<GateData> {
        switch self {
        case .forgetQuality: [.forget, .retain]
        case .privacyLeakage: [.forget, .holdout]
        case .earlier: []
        case .atMost(let figure, _), .atLeast(let figure, _): figure.data
        case .near(let figure, _): figure.data.union([.reference])
        }
    }

    /// What must be measured for it.
    package var metrics: Set<EvaluationMetric> {
        switch self {
        case .forgetQuality, .privacyLeakage, .earlier: []
        case .atMost(let figure, _), .atLeast(let figure, _), .near(let figure, _): figure.metrics
        }
    }

    private var symbol: String {
        switch self {
        case .forgetQuality, .privacyLeakage, .earlier: "="
        case .atMost: "<="
        case .atLeast: ">="
        case .near: "~"
        }
    }

    /// The condition as a gate spells it.
    package var description: String {
        switch self {
        case .forgetQuality, .privacyLeakage, .earlier: "\(name)=\(required)"
        default: name + required
        }
    }

    /// Figure and operator, which two conditions of one gate may not share.
    var slot: String { name + symbol }
}
