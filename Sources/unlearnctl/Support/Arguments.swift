// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// Readers of arguments whose errors name the rule.
enum Arguments {
    /// `MODEL` or `MODEL@vN`.
    @Sendable static func version(_ text: String) throws -> VersionReference {
        guard let reference = VersionReference(text) else { throw ValidationError(VersionReference.rule) }
        return reference
    }

    /// A model's name alone.
    @Sendable static func model(_ text: String) throws -> ModelName {
        if text.contains("@") { throw ValidationError("a model's name is wanted here, without a version") }
        guard let name = ModelName(text) else { throw ValidationError(ModelName.rule) }
        return name
    }

    /// `vN`.
    @Sendable static func number(_ text: String) throws -> VersionNumber {
        guard let number = VersionNumber(text) else {
            throw ValidationError("a version is written v1, v2, …")
        }
        return number
    }

    /// A job's number.
    @Sendable static func job(_ text: String) throws -> JobID {
        guard let job = Int(text), job >= 1 else {
            throw ValidationError("a job is named by its number, from 1")
        }
        return job
    }

    /// `ID[:ok|any|notok]`.
    @Sendable static func dependency(_ text: String) throws -> Dependency {
        guard let dependency = Dependency(text) else {
            throw ValidationError("write a job's number, alone or with :ok, :any or :notok")
        }
        return dependency
    }

    /// RFC 3339, or `+` and a length of time.
    @Sendable static func time(_ text: String) throws -> Timestamp {
        if text.hasPrefix("+"), let delay = Seconds(argument: String(text.dropFirst())), delay.value < 1e9 {
            return Timestamp(milliseconds: Timestamp.now.milliseconds + Int64(delay.value * 1000))
        }
        guard let time = Timestamp(text) else {
            throw ValidationError("write a time as 2026-01-31T12:00:00Z, or a delay as +90s, +5m, +2h or +3d")
        }
        return time
    }

    /// `key=value`.
    @Sendable static func label(_ text: String) throws -> Label {
        guard let position = text.firstIndex(of: "="), position != text.startIndex else {
            throw ValidationError("write a label as key=value")
        }
        return Label(key: String(text[..<position]), value: String(text[text.index(after: position)...]))
    }

    /// `parameter=value,value`.
    @Sendable static func axis(_ text: String) throws -> SweepAxis {
        guard let axis = SweepAxis(text) else {
            throw ValidationError("write a sweep as parameter=value,value, such as learning-rate=1e-5,2e-5")
        }
        return axis
    }

    /// A number that is neither infinite nor undefined.
    @Sendable static func finite(_ text: String) throws -> Double {
        guard let number = Double(text), number.isFinite else {
            throw ValidationError("write a finite number, such as 0.5 or 1e-5")
        }
        return number
    }

    /// Two such numbers with a comma between.
    @Sendable static func pair(_ text: String) throws -> [Double] {
        let numbers = try text.split(separator: ",", omittingEmptySubsequences: false).map {
            try finite(String($0))
        }
        guard numbers.count == 2 else { throw ValidationError("write two numbers, such as 0.9,0.999") }
        return numbers
    }

    /// Names with commas between.
    @Sendable static func names(_ text: String) throws -> [String] {
        let names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard !names.contains("") else { throw ValidationError("write names with commas between") }
        return names
    }

    /// `4-7`, or `0,2,8-11`.
    @Sendable static func layers(_ text: String) throws -> LayerSelection {
        guard let layers = LayerSelection(text) else { throw ValidationError(LayerSelection.rule) }
        return layers
    }

    /// `all`, `fast`, or names of metrics between commas.
    @Sendable static func metrics(_ text: String) throws -> Set<EvaluationMetric> {
        do { return try EvaluationMetric.parse(text) } catch { throw ValidationError(error.description) }
    }

    /// A state's name.
    @Sendable static func states(_ text: String) throws -> [JobState] {
        try text.split(separator: ",").map { name in
            guard let state = JobState(rawValue: String(name)) else {
                throw ValidationError(
                    "the states are \(JobState.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return state
        }
    }
}

/// A label of a job.
struct Label: Hashable, Sendable {
    var key: String
    var value: String
}

extension Need: ExpressibleByArgument {}
extension Launcher: ExpressibleByArgument {}
extension ComputeDevice: ExpressibleByArgument {}
extension Pairing: ExpressibleByArgument {}
extension RetainLoss: ExpressibleByArgument {}
extension Schedule: ExpressibleByArgument {}
extension AnswerForm: ExpressibleByArgument {}
extension Precision: ExpressibleByArgument {}
extension AccuracyUnit: ExpressibleByArgument {}
extension AblationUnits: ExpressibleByArgument {}
extension AttributionMethod: ExpressibleByArgument {}
extension AblationMode: ExpressibleByArgument {}
extension UpdateWay: ExpressibleByArgument {}
extension MaskKind: ExpressibleByArgument {}
extension AttackKind: ExpressibleByArgument {}
extension RelearnData: ExpressibleByArgument {}
extension QuantizationFormat: ExpressibleByArgument {}
extension PromptVariant: ExpressibleByArgument {}
