// SPDX-License-Identifier: Apache-2.0

import Client
import Glibc
import Protocol

/// TOFU's files as they are published: JSON lines of `question`, `answer`, `paraphrased_answer`, `perturbed_answer`.
///
/// `SPLIT_perturbed` is the forget set, and so the one that a method forgets, since its rows hold the questions and
/// answers themselves; `retain_perturbed`, `real_authors_perturbed` and `world_facts_perturbed` are what is kept. A
/// method is held by `retainNN`. `holdoutNN` is used where it is there: it is not among the files that TOFU began with.
struct TofuFiles {
    let directory: String
    let split: String

    func data(for kind: JobKind) throws(ClientError) -> BenchmarkPreset.Data {
        let percent = split.hasPrefix("forget") ? Int(split.dropFirst(6)) : nil
        guard let percent, (1...99).contains(percent) else {
            throw ClientError(
                .usage, "“\(split)” is no forget split of TOFU",
                hint: "name one such as forget01, forget05 or forget10")
        }
        var data = BenchmarkPreset.Data()
        data.forget = try require("\(split)_perturbed")
        let kept = try require("retain_perturbed")
        if kind == .evaluate {
            data.retain = kept
        } else {
            if kind.unlearns { data.retain = try require("retain" + Self.twoDigits(100 - percent)) }
            data.utility.append(.init(name: "retain_perturbed", data: kept))
        }
        for name in ["real_authors", "world_facts"] {
            data.utility.append(.init(name: name, data: try require("\(name)_perturbed")))
        }
        data.holdout = try file("holdout" + Self.twoDigits(percent))
        data.metrics = EvaluationMetric.fast.union([.rouge])
        return data
    }

    private static func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    private func file(_ name: String) throws(ClientError) -> DatasetArgument? {
        for ending in ["json", "jsonl"] {
            let path = "\(directory)/\(name).\(ending)"
            if access(path, F_OK) == 0 { return try DatasetArgument(path) }
        }
        return nil
    }

    private func require(_ name: String) throws(ClientError) -> DatasetArgument {
        guard let file = try file(name) else {
            throw ClientError(
                .badInput, "there is no \(name).json in \(directory)",
                hint: "name the directory of TOFU's files with --preset-data, and a split with --split")
        }
        return file
    }
}
