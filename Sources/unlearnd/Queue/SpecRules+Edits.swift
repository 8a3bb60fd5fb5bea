// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The rules of the weight edits' parameters.
extension SpecRules {
    static func checkEdits(_ spec: JobSpec) throws(RPCError) {
        let parameters = spec.parameters ?? JobParameters()
        func check(_ name: String, _ value: Double?, _ rule: String, _ holds: (Double) -> Bool)
            throws(RPCError)
        {
            guard let value, !(value.isFinite && holds(value)) else { return }
            throw fault("parameters.\(name)", "\(name) is \(value); it must be \(rule)")
        }
        func range(_ name: String, _ value: Int?, _ range: ClosedRange<Int>) throws(RPCError) {
            guard let value, !range.contains(value) else { return }
            throw fault(
                "parameters.\(name)",
                "\(name) is \(value); it lies between \(range.lowerBound) and \(range.upperBound)")
        }
        try check("density", parameters.density, "above 0 and at most 1") { $0 > 0 && $0 <= 1 }
        if let text = parameters.layerScale, LayerScales(text) == nil {
            throw fault("parameters.layer_scale", "“\(text.prefix(40))” cannot be read: \(LayerScales.rule)")
        }
        let finer = [
            parameters.density.map { _ in "density" }, parameters.layerScale.map { _ in "layer_scale" },
            parameters.scaleGrid.map { _ in "scale_grid" },
        ].compactMap(\.self)
        if let name = finer.first, parameters.finetuned == nil {
            throw fault(
                "parameters.\(name)", "\(name) is for the direction of a fine-tuned version",
                "name one with --finetuned MODEL, or give an adapter --scale alone")
        }
        if let grid = parameters.scaleGrid { try checkGrid(grid, spec) }
        try check("fraction", parameters.fraction, "above 0 and at most 1") { $0 > 0 && $0 <= 1 }
        try check("target_drop", parameters.targetDrop, "above 0 and at most 1") { $0 > 0 && $0 <= 1 }
        try check("retain_weight", parameters.retainWeight, "a number of zero or more") { $0 >= 0 }
        try check("factor", parameters.factor, "from 0 to less than 1") { $0 >= 0 && $0 < 1 }
        try check("ratio", parameters.dampeningRatio, "a positive number") { $0 > 0 }
        try check("strength", parameters.dampeningStrength, "a number of zero or more") { $0 >= 0 }
        try check("mask_ratio", parameters.maskRatio, "above 0 and at most 1") { $0 > 0 && $0 <= 1 }
        if parameters.maskRatio != nil, parameters.mask == nil {
            throw fault("parameters.mask_ratio", "mask_ratio is for a mask", "add --mask saliency")
        }
        if parameters.mask == .wagle, spec.retain == nil {
            throw fault("retain", "a wagle mask weighs what is kept as well", "give --retain FILE")
        }
        if parameters.mask != nil, parameters.loraRank != nil {
            throw fault(
                "parameters.mask", "adapters leave every weight as it is", "leave --mask or the adapters out")
        }
        try range("attribution_steps", parameters.attributionSteps, 2...1000)
        try range("attribution_rows", parameters.attributionRows, 1...(1 << 30))
        let sizes = [
            parameters.fraction.map { _ in "fraction" }, parameters.count.map { _ in "count" },
            parameters.targetDrop.map { _ in "target_drop" },
        ].compactMap(\.self)
        guard sizes.count <= 1 else {
            throw fault(
                "parameters.\(sizes[1])", "\(sizes.joined(separator: " and ")) both say how many units",
                "give one of them")
        }
        if parameters.factor != nil, parameters.mode != .dampen {
            throw fault("parameters.factor", "factor is for the mode dampen", "add --mode dampen")
        }
        if parameters.attributionSteps != nil, parameters.attribution != .integrated {
            throw fault(
                "parameters.attribution_steps", "attribution_steps is for integrated gradients",
                "add --attribution integrated")
        }
    }

    private static func checkGrid(_ grid: [Double], _ spec: JobSpec) throws(RPCError) {
        let isAscending = zip(grid, grid.dropFirst()).allSatisfy(<)
        guard (1...64).contains(grid.count), isAscending, grid.allSatisfy({ $0 > 0 && $0 <= 3.0e38 }) else {
            throw fault(
                "parameters.scale_grid", "scale_grid holds 1 to 64 positive numbers, ascending",
                "such as 0.5,1,2,4")
        }
        guard spec.parameters?.scale == nil else {
            throw fault("parameters.scale", "scale and scale_grid both say how much", "give one of them")
        }
        guard spec.gate != nil else {
            throw fault(
                "gate", "a search of the scale needs the gate that the result must meet",
                "add --gate, such as forget<=0.3,retain>=0.9")
        }
    }
}
