// SPDX-License-Identifier: Apache-2.0

/// Where the backward pass adds gradients: the places of what is trained, and none for the rest.
struct GradientTarget {
    let base: UnsafeMutablePointer<Float>
    let trainable: Trainable

    /// The place of the gradient of the parameter at `offset`; `nil` if it is frozen.
    subscript(offset: Int) -> UnsafeMutablePointer<Float>? {
        trainable.contains(offset) ? base + offset : nil
    }

    /// The same for a parameter that may not exist.
    subscript(offset: Int?) -> UnsafeMutablePointer<Float>? { offset.flatMap { self[$0] } }
}
