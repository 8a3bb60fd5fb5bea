// SPDX-License-Identifier: Apache-2.0

import CKernels

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Losses of one labelled place that are functions of its logits. Each leaves `scale` times its gradient in their place.
package enum LogitLoss {
    /// UNDIAL (Dong et al., arXiv 2402.10052): the cross-entropy of p to softmax(z_base − β · onehot(y)).
    ///
    /// Like OpenUnlearning's UNDIAL on labelled places; its own mean also counts prompts and padding, and there takes
    /// the label −100 for the entry V − 100.
    ///
    /// - Parameter reference: The base's logits; overwritten.
    package static func selfDistillation(
        _ logits: UnsafeMutableBufferPointer<Float>, _ reference: UnsafeMutableBufferPointer<Float>,
        target: Int, beta: Double, scale: Float, _ context: ComputeContext
    ) -> Double {
        guard let z = logits.baseAddress, let r = reference.baseAddress else { return .nan }
        reference[target] -= Float(beta)
        // CE(q, p) = KL(q ‖ p) + H(q), and only the divergence has a gradient.
        let (largest, sum) = exponentialSum(reference, without: nil)
        var mean = 0.0
        for value in reference { mean += exp(Double(value) - largest) * (Double(value) - largest) }
        let entropy = log(sum) - mean / sum
        return Double(context.kernels.pointee.divergence(z, r, logits.count, scale).loss) + entropy
    }

    /// CE-U (Yang, arXiv 2503.01224): the cross-entropy of p to q, its own distribution without the label y, held
    /// constant.
    ///
    /// q is softmax(z) with z[y] = −∞, so the gradient p − q is p_y · (onehot(y) − q): it vanishes with the
    /// probability of the label, and needs no 1 − p_y, which would lose all digits for a label the model is sure of.
    package static func complement(
        _ logits: UnsafeMutableBufferPointer<Float>, target: Int, scale: Float
    ) -> Double {
        let (largest, rest) = exponentialSum(logits, without: target)
        let label = Double(logits[target]) - largest
        // ln Σ exp and p_y, both relative to the largest other logit.
        let higher = max(label, 0)
        let total = higher + log(rest * exp(-higher) + exp(label - higher))
        let probability = exp(label - total)
        var loss = 0.0
        for index in logits.indices where index != target {
            let z = Double(logits[index]) - largest
            let q = exp(z) / rest
            if q > 0 { loss += q * (total - z) }
            logits[index] = -scale * Float(probability * q)
        }
        logits[target] = scale * Float(probability)
        return loss
    }

    /// PDU's forget loss (Entesari et al., arXiv 2506.05314): (max z − mean z)², 0 for logits that say nothing.
    ///
    /// The first of equal maxima gets the gradient, as in PyTorch.
    package static func spread(_ logits: UnsafeMutableBufferPointer<Float>, scale: Float) -> Double {
        var best = 0
        var sum = 0.0
        for index in logits.indices {
            if logits[index] > logits[best] { best = index }
            sum += Double(logits[index])
        }
        let count = Double(logits.count)
        let spread = Double(logits[best]) - sum / count
        let slope = Double(scale) * 2 * spread
        logits.update(repeating: Float(-slope / count))
        logits[best] = Float(slope * (1 - 1 / count))
        return spread * spread
    }

    /// −ln p of the label.
    package static func likelihood(_ logits: UnsafeMutableBufferPointer<Float>, target: Int) -> Double {
        let (largest, sum) = exponentialSum(logits, without: nil)
        return log(sum) - (Double(logits[target]) - largest)
    }

    /// The largest value and Σ exp(value − largest), both over all but one entry.
    private static func exponentialSum(
        _ values: UnsafeMutableBufferPointer<Float>, without index: Int?
    ) -> (largest: Double, sum: Double) {
        var largest = -Float.infinity
        for (place, value) in values.enumerated() where place != index { largest = max(largest, value) }
        let offset = Double(largest)
        var sum = 0.0
        for (place, value) in values.enumerated() where place != index { sum += exp(Double(value) - offset) }
        return (offset, sum)
    }
}
