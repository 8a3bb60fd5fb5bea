// SPDX-License-Identifier: Apache-2.0

/// One scale that a search tried: a point of the curve in the `trials` member of a task vector's result.
package struct ScaleTrial: Codable, Hashable, Sendable {
    package var scale: Double
    /// Whether the gate was met.
    package var passed: Bool
    /// How many of its conditions were.
    package var met: Int
    package var forgetAccuracy: Double?
    package var retainAccuracy: Double?
    package var forgetLoss: Double?
    package var retainLoss: Double?
    package var membershipInferenceAUC: Double?

    /// A point from what was measured.
    package init(scale: Double, passed: Bool, met: Int, figures: EvaluationFigures) {
        self.scale = scale
        self.passed = passed
        self.met = met
        forgetAccuracy = figures.forgetAccuracy
        retainAccuracy = figures.retainAccuracy
        forgetLoss = figures.forgetLoss
        retainLoss = figures.retainLoss
        membershipInferenceAUC = figures.membershipInferenceAUC
    }

    enum CodingKeys: String, CodingKey {
        case scale, passed, met
        case forgetAccuracy = "forget_accuracy"
        case retainAccuracy = "retain_accuracy"
        case forgetLoss = "forget_loss"
        case retainLoss = "retain_loss"
        case membershipInferenceAUC = "membership_inference_auc"
    }
}
