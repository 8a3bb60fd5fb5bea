// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// A task vector's scale as it is written: a number, or `auto`.
enum ScaleArgument: Hashable, Sendable {
    case number(Double)
    case auto

    /// What `auto` tries unless told otherwise: the usual range of negation, with its tail.
    static let standardGrid = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4]

    @Sendable init(_ text: String) throws {
        if text == "auto" {
            self = .auto
        } else if let number = try? Arguments.finite(text) {
            self = .number(number)
        } else {
            throw ValidationError("write a finite number, such as 0.5, or auto")
        }
    }

    /// Numbers between commas.
    @Sendable static func grid(_ text: String) throws -> [Double] {
        try text.split(separator: ",", omittingEmptySubsequences: false).map {
            try Arguments.finite(String($0))
        }
    }
}
