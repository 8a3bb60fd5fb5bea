// SPDX-License-Identifier: Apache-2.0

extension ForgetQuality {
    /// Forget accuracy must be below, retain accuracy above these; both strictly.
    package typealias Bounds = (forget: Double, retain: Double)
    package static let excellentBounds: Bounds = (0.1, 0.9)
    package static let goodBounds: Bounds = (0.3, 0.8)

    /// The label of a pair of accuracies, 0 to 1.
    package init(forgetAccuracy: Double, retainAccuracy: Double) {
        func meets(_ bounds: Bounds) -> Bool {
            forgetAccuracy < bounds.forget && retainAccuracy > bounds.retain
        }
        self = meets(Self.excellentBounds) ? .excellent : meets(Self.goodBounds) ? .good : .insufficient
    }
}

extension PrivacyLeakage {
    /// The label of a membership inference AUC: `minimal` less than 0.05 from 0.5, `moderate` less than 0.15.
    ///
    /// Two-sided: members that are harder than others are as easy to tell as members that are easier. Compared
    /// against 0.45, 0.55, 0.35 and 0.65, since 0.5 − 0.45 is less than 0.05 in binary.
    package init(membershipInferenceAUC auc: Double) {
        self = auc > 0.45 && auc < 0.55 ? .minimal : auc > 0.35 && auc < 0.65 ? .moderate : .significant
    }
}
