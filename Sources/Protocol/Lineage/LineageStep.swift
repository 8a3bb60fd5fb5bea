// SPDX-License-Identifier: Apache-2.0

/// One recorded job of a version's ancestry, and what it made.
package struct LineageStep: Codable, Hashable, Sendable {
    package var job: JobID
    package var spec: JobSpec
    package var model: ModelName
    package var version: VersionNumber
    /// The version's bytes, unless they are gone or were made of other bytes than a repetition would be.
    package var made: VersionBinding?
    /// Where a fresh start takes its form from (`retrain`).
    package var form: VersionBinding?
    /// Forget sets whose rows an earlier exact job left out of this one.
    package var excluding: [Digest]

    /// A step.
    package init(
        job: JobID, spec: JobSpec, model: ModelName, version: VersionNumber, made: VersionBinding?,
        form: VersionBinding? = nil, excluding: [Digest] = []
    ) {
        self.job = job
        self.spec = spec
        self.model = model
        self.version = version
        self.made = made
        self.form = form
        self.excluding = excluding
    }
}

extension JobSpec {
    /// The datasets whose rows decide the weights that the job makes; what is only measured is not among them.
    package var trainedOn: [Digest] {
        switch kind {
        case .finetune, .retrain: [retain ?? forget].compactMap(\.self)
        case _ where kind.trainsOnForgetSet:
            [forget, pairsRetain || editsFacts ? retain : nil].compactMap(\.self)
        default: []
        }
    }
}
