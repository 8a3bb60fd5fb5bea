// SPDX-License-Identifier: Apache-2.0

import Engine

extension UnlearningObjective {
    /// Ascent that is held to what the base says of `retain`.
    static func ascent(
        _ alpha: Double, heldOn retain: [Example], _ configuration: ModelConfiguration
    ) throws -> UnlearningObjective {
        UnlearningObjective(
            forget: LikelihoodTerm(rising: true), retain: try DivergenceTerm(retain, configuration),
            weights: .mix(alpha))
    }
}
