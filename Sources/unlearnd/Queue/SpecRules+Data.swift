// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The rules of the datasets that jobs read.
extension SpecRules {
    /// The datasets and options that a kind of job reads.
    static func checkData(_ spec: JobSpec) throws(RPCError) {
        let kind = spec.kind
        let reads: Set<String> =
            kind.editsVersion
            ? ["forget", "retain", "holdout", "utility", "reference", "gate", "evaluate"]
            : kind == .evaluate
                ? ["forget", "retain", "holdout", "utility", "reference"]
                : kind == .attack ? ["forget", "retain", "reference"] : []
        let given: [(String, Bool)] = [
            ("forget", spec.forget != nil), ("retain", spec.retain != nil), ("holdout", spec.holdout != nil),
            ("utility", spec.utility != nil), ("reference", spec.reference != nil),
            ("gate", spec.gate != nil),
            ("evaluate", spec.evaluate != nil),
        ]
        for (name, isGiven) in given where isGiven && !reads.contains(name) {
            let hint =
                reads.isEmpty
                ? "leave it out" : "\(kind.rawValue) takes \(reads.sorted().joined(separator: ", "))"
            throw fault(name, "\(kind.rawValue) has no \(name)", hint)
        }
        switch kind {
        case _ where kind.trainsOnForgetSet:
            guard spec.forget != nil else {
                throw fault("forget", "\(kind.rawValue) needs a forget set", "give --forget FILE")
            }
            guard spec.retain != nil || !spec.needsRetain else {
                let without =
                    kind == .ascent
                    ? ", or --alpha 1 to do without" : kind == .pdu ? "" : ", or --alpha 0 to do without"
                throw fault(
                    "retain", "\(kind.rawValue) needs a retain set", "give --retain FILE\(without)")
            }
        case .retrain:
            guard spec.retain != nil else {
                throw fault(
                    "retain", "retrain needs rows to learn", "give what is to be kept with --retain FILE")
            }
        case .exact:
            guard spec.forget != nil else {
                throw fault("forget", "exact needs a forget set", "give --forget FILE")
            }
        case .dampen:
            guard spec.forget != nil, spec.retain != nil else {
                throw fault(
                    spec.forget == nil ? "forget" : "retain", "dampen compares a forget and a retain set",
                    "give --forget FILE and --retain FILE")
            }
        case .ablate:
            guard spec.forget != nil else {
                throw fault("forget", "ablate needs a forget set", "give --forget FILE")
            }
        case .finetune:
            guard spec.retain != nil || spec.forget != nil else {
                throw fault("retain", "finetune needs rows to learn", "give --data FILE")
            }
        case .evaluate:
            guard spec.measuresSomething else {
                throw fault(
                    "forget", "evaluate needs something to measure",
                    "give --forget, --retain, --holdout or --utility FILE")
            }
        default: break
        }
        try checkUtility(spec)
        if spec.reference != nil, !spec.measuresSomething {
            throw fault(
                "reference", "a reference is measured on the same data, and none is given",
                "give --forget FILE")
        }
    }

    private static func checkUtility(_ spec: JobSpec) throws(RPCError) {
        let sets = spec.utility ?? []
        guard sets.count <= 16 else { throw fault("utility", "there are at most 16 utility sets") }
        for (index, set) in sets.enumerated() {
            guard UtilitySet.isName(set.name) else {
                throw fault(
                    "utility[\(index)].name", "“\(set.name.prefix(80))” cannot name a utility set",
                    "use 1 to 64 of a-z, 0-9, _ and -, other than forget, retain and holdout")
            }
            guard !sets[..<index].contains(where: { $0.name == set.name }) else {
                throw fault("utility[\(index)].name", "two utility sets are named \(set.name)")
            }
            if let limit = set.maxNewTokens, !(1...(1 << 20)).contains(limit) {
                throw fault(
                    "utility[\(index)].max_new_tokens",
                    "max_new_tokens is \(limit); it lies between 1 and \(1 << 20)")
            }
            let stops = set.stops ?? []
            guard stops.count <= 16, stops.allSatisfy({ (1...256).contains($0.utf8.count) }) else {
                throw fault(
                    "utility[\(index)].stops", "there are at most 16 stops of 1 to 256 bytes each")
            }
        }
    }
}
