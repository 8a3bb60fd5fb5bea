// SPDX-License-Identifier: Apache-2.0

/// The conditions that a candidate must meet to become its model's head: `cond(,cond)*`.
///
/// A condition is `forget=LABEL` or `privacy=LABEL` (at least that good), `earlier=RULE` (of earlier requests), or a
/// figure's name with `<=x`, `>=x`,
/// or `~d` (within d of the reference version). White space between the parts is allowed.
package struct Gate: Hashable, Sendable, CustomStringConvertible {
    /// The conditions in the order written, at least one.
    package let conditions: [GateCondition]

    private static let grammar =
        "A gate is a list such as forget=good,privacy=minimal,retain>=0.9,forget~0.05: forget= insufficient, good or "
        + "excellent; privacy= significant, moderate or minimal; "
        + "earlier= forgotten or verified; with <=, >= or ~ and a number: "
        + GateFigure.allCases.map(\.rawValue).joined(separator: ", ")
    private static let names = GateFigure.allCases.map(\.rawValue) + ["privacy", "earlier"]

    /// - Throws: The first fault, naming the condition, with the grammar and what may have been meant.
    package static func parse(_ text: String) throws(GateError) -> Gate {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map(trimmed)
        guard parts != [""] else {
            throw GateError(condition: "", message: "the gate is empty", hint: grammar)
        }
        guard parts.count <= 64 else {
            throw GateError(condition: "", message: "the gate has more than 64 conditions", hint: grammar)
        }
        var conditions: [GateCondition] = []
        for part in parts {
            let condition = try parseCondition(part)
            if let other = conditions.first(where: { $0.slot == condition.slot }) {
                throw GateError(
                    condition: part, message: "the gate has both “\(other)” and “\(part)”",
                    hint: "Keep one of the two")
            }
            conditions.append(condition)
        }
        try refuseContradictions(conditions)
        return Gate(conditions: conditions)
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        var text = Substring(text)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }

    private static func parseCondition(_ text: String) throws(GateError) -> GateCondition {
        func fault(_ problem: String, meant: String? = nil) -> GateError {
            let suggestion = meant.map { "Did you mean “\($0)”? " } ?? ""
            return GateError(
                condition: text, message: "gate condition “\(text.prefix(80))”: \(problem)",
                hint: suggestion + grammar)
        }
        guard !text.isEmpty else { throw fault("nothing stands between two commas or after the last") }
        let isOperator: (Character) -> Bool = { "<>=~!".contains($0) }
        guard let start = text.firstIndex(where: isOperator) else {
            throw fault(
                "it has no operator",
                meant: [
                    "forget": "forget=good", "privacy": "privacy=minimal", "earlier": "earlier=forgotten",
                ][text])
        }
        let name = trimmed(text[..<start])
        let end = text[start...].firstIndex { !isOperator($0) } ?? text.endIndex
        let symbol = String(text[start..<end])
        let operand = trimmed(text[end...])
        guard names.contains(name) else {
            let meant = ClosestName.suggest(for: name, among: names)
            throw fault("there is no figure “\(name.prefix(40))”", meant: meant.map { $0 + symbol + operand })
        }
        switch symbol {
        case "=":
            return try parseLabel(name, operand, fault)
        case "<=", ">=", "~":
            guard let figure = GateFigure(rawValue: name) else {
                throw name == "earlier"
                    ? fault("earlier takes a rule, not a number", meant: "earlier=forgotten")
                    : fault("\(name) takes a label; a number can bound auc", meant: "\(name)=minimal")
            }
            let mayBeNegative = figure.bounds.lowerBound < 0 && symbol != "~"
            let isNegative = mayBeNegative && operand.hasPrefix("-")
            guard let size = parseNumber(isNegative ? String(operand.dropFirst()) : operand) else {
                let rule = mayBeNegative ? "a number" : "a number of zero or more"
                throw fault("“\(operand.prefix(40))” is not \(rule), such as 0.3")
            }
            guard symbol != "~" || figure.hasReference else {
                throw fault("\(name) is itself a comparison, so ~ has no meaning for it")
            }
            let number = isNegative ? -size : size
            guard symbol == "~" && number <= figure.bounds.upperBound || figure.bounds.contains(number) else {
                let bounds = figure.bounds
                // Perhaps a percentage; without the digits that binary fractions add.
                let share = (number * 1e6).rounded() / 1e8
                throw fault(
                    bounds.upperBound > 1
                        ? "\(name) is at least \(bounds.lowerBound)"
                        : "\(name) lies between \(Int(bounds.lowerBound)) and 1",
                    meant: bounds == 0...1 && (2...100).contains(number)
                        ? "\(name)\(symbol)\(share)" : nil)
            }
            return symbol == "<="
                ? .atMost(figure, number)
                : symbol == ">="
                    ? .atLeast(figure, number)
                    : .near(figure, number)
        default:
            let replacement = ["<": "<=", ">": ">=", "=<": "<=", "=>": ">=", "==": "=", "~=": "~"][symbol]
            throw fault(
                "there is no operator “\(symbol.prefix(8))”", meant: replacement.map { name + $0 + operand })
        }
    }

    private static func parseLabel(
        _ name: String, _ operand: String, _ fault: (String, String?) -> GateError
    ) throws(GateError) -> GateCondition {
        if name == "forget", let label = ForgetQuality(rawValue: operand) { return .forgetQuality(label) }
        if name == "privacy", let label = PrivacyLeakage(rawValue: operand) { return .privacyLeakage(label) }
        if name == "earlier" {
            if let rule = EarlierRule(rawValue: operand) { return .earlier(rule) }
            throw fault(
                "earlier has no rule “\(operand.prefix(40))”, only forgotten, verified", "earlier=forgotten")
        }
        guard name == "forget" || name == "privacy" else {
            throw fault("\(name) has no labels", parseNumber(operand).map { _ in "\(name)>=\(operand)" })
        }
        let labels =
            name == "forget"
            ? ForgetQuality.allCases.map(\.rawValue) : PrivacyLeakage.allCases.map(\.rawValue)
        if name == "forget", parseNumber(operand) != nil {
            throw fault("= takes a label, not a number", "forget<=\(operand)")
        }
        let meant = ClosestName.suggest(for: operand, among: labels).map { "\(name)=\($0)" }
        throw fault(
            "\(name) has no label “\(operand.prefix(40))”, only \(labels.joined(separator: ", "))", meant)
    }

    /// A plain decimal number: digits with at most one point, and an exponent if need be.
    private static func parseNumber(_ text: String) -> Double? {
        guard let first = text.utf8.first, first == 0x2E || (0x30...0x39).contains(first),
            text.utf8.count <= 40,
            text.utf8.allSatisfy({
                (0x30...0x39).contains($0) || [0x2E, 0x65, 0x45, 0x2B, 0x2D].contains($0)
            }),
            let number = Double(text), number.isFinite
        else { return nil }
        return number
    }

    private static func refuseContradictions(_ conditions: [GateCondition]) throws(GateError) {
        for case .atLeast(let figure, let low) in conditions {
            for case .atMost(let other, let high) in conditions where other == figure && high < low {
                throw GateError(
                    condition: "\(figure.rawValue)>=\(low)",
                    message: "no value of \(figure.rawValue) is at least \(low) and at most \(high)",
                    hint: "Exchange or change the two bounds")
            }
        }
    }

    /// The gate as it is spelled, without white space.
    package var description: String { conditions.map(\.description).joined(separator: ",") }

    /// All data without which some condition cannot be judged.
    package var requiredData: Set<GateData> { conditions.reduce(into: []) { $0.formUnion($1.requiredData) } }

    /// All that must be measured beside what always is.
    package var metrics: Set<EvaluationMetric> { conditions.reduce(into: []) { $0.formUnion($1.metrics) } }

    /// Checks that everything the gate needs is given.
    /// - Throws: The first condition whose data is missing, with the option that supplies it.
    package func check(given: Set<GateData>) throws(GateError) {
        for condition in conditions {
            for data in GateData.allCases where condition.requiredData.contains(data) && !given.contains(data)
            {
                throw GateError(
                    condition: condition.description,
                    message: "gate condition “\(condition)” needs \(data.thing)",
                    hint: "Add \(data.option) or leave the condition out")
            }
        }
    }
}
