// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// A benchmark that is run from its own files.
enum BenchmarkPreset: String, CaseIterable, ExpressibleByArgument {
    /// TOFU (Maini et al., arXiv 2401.06121): forget quality and model utility.
    case tofu
    /// MUSE (Shi et al., arXiv 2407.06460): verbatim and knowledge memorisation, privacy leakage, kept knowledge.
    case muse

    /// What a preset fills in where nothing else is given.
    struct Data {
        var forget: DatasetArgument?
        var retain: DatasetArgument?
        var holdout: DatasetArgument?
        var utility: [Extra] = []
        var metrics: Set<EvaluationMetric> = []
        var maxLength: Int?
        var truncate: Bool?

        /// Sends what the daemon does not have yet, and names the sets in a specification.
        func store(in spec: inout JobSpec, _ session: Session) throws(ClientError) {
            if let forget { spec.forget = try forget.store(session) }
            if let retain { spec.retain = try retain.store(session) }
            if let holdout { spec.holdout = try holdout.store(session) }
            guard !utility.isEmpty else { return }
            var stored: [UtilitySet] = []
            for extra in utility { stored.append(extra.stored(as: try extra.data.store(session))) }
            spec.utility = stored
        }
    }

    /// A further set that is only measured on.
    struct Extra {
        var name: String
        var data: DatasetArgument
        var role: UtilitySet.Role?
        var maxNewTokens: Int?
        var stops: [String]?

        /// The set, once its rows are stored under `dataset`.
        func stored(as dataset: Digest) -> UtilitySet {
            var set = UtilitySet(name: name, dataset: dataset, role: role)
            set.maxNewTokens = maxNewTokens
            set.stops = stops
            return set
        }
    }

    /// Reads the benchmark's files.
    ///
    /// - Parameters:
    ///   - kind: Jobs that train need the rows to keep themselves, not only those that TOFU measures on.
    ///   - directory: Where the files are.
    ///   - split: TOFU's forget split.
    /// - Throws: ``ClientError`` with status 65 for a file that is missing or has another form.
    func read(for kind: JobKind, in directory: String, split: String) throws(ClientError) -> Data {
        switch self {
        case .tofu: try TofuFiles(directory: directory, split: split).data(for: kind)
        case .muse: try MuseFiles(directory: directory).data()
        }
    }
}
