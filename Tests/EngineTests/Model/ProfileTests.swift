// SPDX-License-Identifier: Apache-2.0

import Engine
import Testing

/// Where time goes.
@Suite struct ProfileTests {
    @Test func `a profile counts every product once, and nothing when it is off`() throws {
        let golden = try GoldenModel("gpt2")
        let model = try golden.load()
        let gradients = try model.makeBuffer()
        let profile = model.context.profile
        _ = try model.accumulateGradients(golden.batch("forget", 0), scale: 1, into: gradients)
        profile.start()
        #expect(profile.isOn)
        _ = try model.score(golden.batch("forget", 0))
        let forward = profile.stop()
        profile.start()
        _ = try model.accumulateGradients(golden.batch("forget", 0), scale: 1, into: gradients)
        let both = profile.stop()
        #expect(!profile.isOn)
        // The backward pass has two products for each of the forward pass.
        #expect(forward.operations > 0 && both.operations == 3 * forward.operations)
        for part in [Profile.Part.matrixProducts, .attention, .normalization, .loss] {
            #expect(both.seconds[part] ?? 0 > 0, "\(part)")
        }
        #expect(both.seconds[.optimizer] == nil && both.other >= 0)
        _ = try model.score(golden.batch("forget", 0))
        profile.start()
        #expect(profile.stop().seconds.isEmpty)
    }

    @Test func `the peak is a plausible rate`() throws {
        let model = try GoldenModel("gpt2").load(threads: 1)
        #expect(model.context.peakRate(runs: 3) > 1e8)
    }
}
