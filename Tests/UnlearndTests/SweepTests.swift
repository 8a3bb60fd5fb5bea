// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

import unlearnd

@Suite(.timeLimit(.minutes(3)))
struct SweepTests {
    private func params(_ note: String = "b", axes: [SweepAxis]? = nil) throws -> JobSweepParams {
        JobSweepParams(
            spec: try World.spec("m", note: note),
            axes: axes ?? [
                SweepAxis(parameter: "scale", values: [0.5, 1]),
                SweepAxis(parameter: "seed", values: [1, 2]),
            ])
    }

    @Test func `a sweep is every combination on one version, and none moves the head`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let result = try await world.control.sweep(try params(), peer: World.user)
        #expect(result.base.description == "m@v1" && result.size == 4 && result.jobs.count == 4)
        let family = try #require(result.family)
        let values = result.jobs.compactMap(\.spec.sweep?.values)
        #expect(values.map { $0["scale"] } == [0.5, 0.5, 1, 1])
        #expect(values.map { $0["seed"] } == [1, 2, 1, 2])
        #expect(result.jobs.map(\.spec.parameters?.scale) == [0.5, 0.5, 1, 1])
        #expect(result.jobs.map(\.spec.seed) == [1, 2, 1, 2])
        #expect(
            result.jobs.allSatisfy { $0.labels["sweep"] == family && $0.spec.model?.description == "m@v1" })
        for job in result.jobs {
            let end = try await world.end(of: job.id)
            #expect(end.state == .succeeded && end.base == VersionNumber(1))
            #expect(end.headMoved == false && end.headReason == "sweep")
        }
        let model = try World.reference("m").model
        #expect(try await world.control.model(ModelShowParams(model: model)).summary.head == VersionNumber(1))
        let listed = try await world.control.jobs(JobListParams(sweep: family))
        #expect(listed.map(\.id) == result.jobs.map(\.id))
        #expect(try await world.control.jobs(JobListParams(sweep: "other")).isEmpty)
        let move = try await world.control.promote(
            PromoteParams(version: try World.reference("m@v3"), reason: "best"), peer: World.user)
        #expect(move.to == VersionNumber(3))
        await world.control.shutdown()
    }

    @Test func `a dry run stores nothing`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        var params = try params()
        params.dryRun = true
        let result = try await world.control.sweep(params, peer: World.user)
        #expect(result.size == 4 && result.jobs.isEmpty && result.family == nil)
        #expect(result.estimate.disk > 0)
        #expect(try await world.control.jobs(JobListParams(all: true)).count == 1)
        await world.control.shutdown()
    }

    @Test(arguments: [
        ([], "axes"),
        ([SweepAxis(parameter: "scale", values: [])], "axes[0].values"),
        ([SweepAxis(parameter: "scale", values: [1, 1])], "axes[0].values"),
        (
            [SweepAxis(parameter: "scale", values: [1]), SweepAxis(parameter: "scale", values: [2])],
            "axes[1]"
        ),
        ([SweepAxis(parameter: "scale", values: (0...64).map { .integer($0) })], "axes"),
        ([SweepAxis(parameter: "scale", values: ["big"])], "spec.parameters.scale"),
        ([SweepAxis(parameter: "scal", values: [1])], "spec.parameters.scal"),
        ([SweepAxis(parameter: "alpha", values: [0.5])], "spec.parameters.alpha"),
        ([SweepAxis(parameter: "seed", values: [-1])], "spec.seed"),
    ])
    func `a sweep that breaks a rule is refused as a whole`(_ axes: [SweepAxis], _ field: String) async throws
    {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let params = try params(axes: axes)
        let error = await #expect(throws: RPCError.self) {
            _ = try await world.control.sweep(params, peer: World.user)
        }
        #expect(error?.kind == .invalidParams && error?.field == field, "\(String(describing: error))")
        #expect(try await world.control.jobs(JobListParams(all: true)).count == 1)
        await world.control.shutdown()
    }

    @Test func `only the daemon gives a job its place`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let error = await #expect(throws: RPCError.self) {
            try await world.submit("m", note: "b") {
                $0.sweep = SweepPlace(family: "f", index: 1, size: 1, values: [:])
            }
        }
        #expect(error?.field == "spec.sweep")
        await world.control.shutdown()
    }
}
