// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Turns a sweep into the specifications of its jobs.
enum SweepExpansion {
    /// One specification for each combination, the last axis turning fastest.
    ///
    /// - Parameters:
    ///   - base: The version that all work on.
    ///   - family: The family's name.
    ///   - defaults: What is chosen where the sweep leaves it open.
    /// - Throws: `invalid_params` naming the axis, or the parameter that a value breaks.
    static func specs(
        _ params: JobSweepParams, on base: VersionReference, family: String, _ defaults: SpecDefaults
    )
        throws(RPCError) -> [JobSpec]
    {
        try check(params)
        var combinations: [[String: JSONValue]] = [[:]]
        for axis in params.axes {
            combinations = combinations.flatMap { combination in
                axis.values.map { combination.merging([axis.parameter: $0]) { $1 } }
            }
        }
        var specs: [JobSpec] = []
        for (index, values) in combinations.enumerated() {
            var spec = defaults.applied(to: try apply(values, to: params.spec))
            try SpecRules.check(spec)
            spec.model = base
            spec.labels = (spec.labels ?? [:]).merging(["sweep": family]) { $1 }
            spec.sweep = SweepPlace(
                family: family, index: index + 1, size: combinations.count, values: values)
            specs.append(spec)
        }
        return specs
    }

    private static func check(_ params: JobSweepParams) throws(RPCError) {
        func fault(_ field: String, _ message: String, _ hint: String? = nil) -> RPCError {
            RPCError(.invalidParams, message, hint: hint, field: field)
        }
        guard params.spec.kind.unlearns else {
            throw fault(
                "spec.kind", "\(params.spec.kind.rawValue) cannot be swept: it is no unlearning method")
        }
        guard params.spec.key == nil else {
            throw fault("spec.key", "a sweep takes no idempotency key", "leave --key out")
        }
        guard !params.axes.isEmpty else {
            throw fault("axes", "a sweep needs a parameter to vary", "give --sweep learning-rate=1e-5,2e-5")
        }
        var names: Set<String> = []
        var size = 1
        for (index, axis) in params.axes.enumerated() {
            guard names.insert(axis.parameter).inserted else {
                throw fault(
                    "axes[\(index)]", "\(axis.parameter) is swept twice",
                    "name each parameter once, with all its values")
            }
            guard !axis.values.isEmpty, Set(axis.values).count == axis.values.count else {
                throw fault("axes[\(index)].values", "\(axis.parameter) needs values, none of them twice")
            }
            // Before it is multiplied out: the product of what a line holds overflows nothing.
            size *= axis.values.count
            guard size <= SweepPlace.most else {
                throw fault(
                    "axes", "the sweep has more than \(SweepPlace.most) combinations",
                    "sweep coarsely first, then finely around the best")
            }
        }
    }

    private static func apply(_ values: [String: JSONValue], to spec: JobSpec) throws(RPCError) -> JobSpec {
        var spec = spec
        var parameters = JSONObject()
        if let given = spec.parameters, let value = try? JSONValue(encoding: given) {
            parameters = value.objectValue ?? JSONObject()
        }
        for (name, value) in values {
            if name == "seed" {
                guard let seed = value.integerValue, seed >= 0 else {
                    throw SpecRules.fault(
                        "seed", "a seed is a whole number from 0, not \(value.serializedString())")
                }
                spec.seed = UInt64(seed)
            } else {
                parameters[name] = value
            }
        }
        do throws(JSONValueDecoder.Failure) {
            spec.parameters =
                parameters.isEmpty ? nil : try JSONValue.object(parameters).decode(JobParameters.self)
        } catch {
            throw SpecRules.fault("parameters.\(error.field)", "\(error.field) \(error.reason)")
        }
        return spec
    }
}
