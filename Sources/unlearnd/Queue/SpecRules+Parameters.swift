// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The rules of parameters, one by one and by kind.
extension SpecRules {
    static func checkRanges(_ kind: JobKind, _ parameters: JobParameters) throws(RPCError) {
        func range(_ name: String, _ value: Int?, _ range: ClosedRange<Int>) throws(RPCError) {
            guard let value, !range.contains(value) else { return }
            throw fault(
                "parameters.\(name)",
                "\(name) is \(value); it lies between \(range.lowerBound) and \(range.upperBound)")
        }
        func check(_ name: String, _ value: Double?, _ rule: String, _ holds: (Double) -> Bool)
            throws(RPCError)
        {
            guard let value, !(value.isFinite && holds(value)) else { return }
            throw fault("parameters.\(name)", "\(name) is \(value); it must be \(rule)")
        }
        func need(_ name: String, _ isThere: Bool, _ hint: String) throws(RPCError) {
            guard !isThere else { return }
            throw fault("parameters.\(name)", "\(kind.rawValue) needs \(name)", hint)
        }
        try range("epochs", parameters.epochs, 1...100_000)
        try range("batch_size", parameters.batchSize, 1...65_536)
        try range("max_length", parameters.maxLength, 2...(1 << 20))
        try range("top_k", parameters.topK, 1...(1 << 24))
        try range("count", parameters.count, kind == .generate ? 1...4096 : 1...10_000_000)
        try check("temperature", parameters.temperature, "a number from 0 to 1000") {
            (0...1000).contains($0)
        }
        try check("sample", parameters.sample, "a share above 0 and at most 1") { $0 > 0 && $0 <= 1 }
        try check("seconds", parameters.seconds, "a number above 0, at most 31536000") {
            $0 > 0 && $0 <= 31_536_000
        }
        try check("top_p", parameters.topP, "a number above 0 and at most 1") { $0 > 0 && $0 <= 1 }
        try range("max_new_tokens", parameters.maxNewTokens, 1...(1 << 20))
        try check("learning_rate", parameters.learningRate, "a positive number") { $0 > 0 }
        try checkTraining(parameters, range, check)
        if kind == .ascent {
            try check("alpha", parameters.alpha, "a number from 0 to 1") { (0...1).contains($0) }
        } else {
            try check("alpha", parameters.alpha, "a number of at least 0") { $0 >= 0 }
        }
        try checkMethod(kind, parameters)
        try check("max_forget_loss", parameters.maxForgetLoss, "a positive number") { $0 > 0 }
        try range("checkpoint_steps", parameters.checkpointSteps, 1...1_000_000_000)
        try check("checkpoint_seconds", parameters.checkpointSeconds, "a positive number") { $0 > 0 }
        try checkTemplate(parameters)
        try check("scale", parameters.scale, "a finite number of the size of an f32") { abs($0) <= 3.0e38 }
        switch kind {
        case .taskVector:
            try need(
                "finetuned", parameters.finetuned != nil || parameters.transfer != nil,
                "name the fine-tuned version with --finetuned MODEL, or an adapter with --adapter DIR")
            if parameters.transfer != nil {
                for (name, isGiven) in [
                    ("finetuned", parameters.finetuned != nil), ("base", parameters.base != nil),
                ] where isGiven {
                    throw fault(
                        "parameters.\(name)", "an adapter is a direction by itself and has no \(name)",
                        "leave it out, or the adapter")
                }
            }
        case .retrain:
            try need(
                "from", parameters.from != nil || parameters.fresh == true,
                "name the version where it begins with --from MODEL@vN, or begin anew with --fresh")
        case .import, .create, .export:
            try need("transfer", parameters.transfer != nil, "open a transfer and send its descriptors first")
        case .generate:
            try need("prompt", parameters.prompt != nil || parameters.prompts != nil, "give --prompt TEXT")
            try checkGeneration(parameters)
        case .tokenize: try need("text", parameters.text != nil, "give --text TEXT")
        case .diff: try need("other", parameters.other != nil, "name two versions")
        case .pdu:
            try need(
                "retain_limit", parameters.retainLimit != nil,
                "give --retain-limit, somewhat above the model's retain loss")
        default: break
        }
    }
}
