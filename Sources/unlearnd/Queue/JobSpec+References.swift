// SPDX-License-Identifier: Apache-2.0

import Protocol

extension JobSpec {
    /// The models and versions that the job names, in whatever part.
    var references: [VersionReference] {
        let operands = [parameters?.finetuned, parameters?.base, parameters?.other, parameters?.from]
        return ([model, reference] + operands).compactMap(\.self)
    }
}
