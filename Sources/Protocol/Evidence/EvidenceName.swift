// SPDX-License-Identifier: Apache-2.0

/// The names of the pieces of evidence that a job leaves behind, and what each holds.
///
/// A piece is a JSON object of numbers, digests and technical names (`data`), and apart from it, where there are any,
/// the texts that it is about (`texts`): prompts, answers, generations. A purge takes the texts and leaves the data, so
/// **nothing that a person wrote or a model said may stand in `data`**. Readers bear with names and members that they
/// do not know; a member that was not measured is absent or null.
package struct EvidenceName: OpenNames, Hashable, Sendable {
    /// The names that this version gives.
    package enum Known: String, CaseIterable {
        case rows, samples, diff, environment, units, attack
    }

    package var rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }

    /// What each row scored: `{"sets": [{"role": "after", "set": "forget", "lines": [1, 2, …], "columns": {"loss":
    /// [0.1, 2.5, …], "tokens": […], …}}, …]}`. Roles are `before`, `after`, `reference`; `loss` is the row's mean
    /// negative log-likelihood per labelled token, nats. Columns are as long as `lines`, null where a row has no score.
    package static let rows = EvidenceName(.rows)

    /// What the model says, before and after, to a few rows: data `{"max_new_tokens": 32, "rows": [{"set": "forget",
    /// "line": 1, "before": true, "after": false, "reference": false}, …]}`, where the truth values say whether the
    /// answer begins as expected; texts `{"rows": [{"prompt": …, "expected": …, "before": …, "after": …, "reference":
    /// …}, …]}` in the same order.
    package static let samples = EvidenceName(.samples)

    /// How the result's tensors differ from the base's: `{"tensors": [{"tensor": …, "changed": true, "l2": …,
    /// "relative_l2": …, "max_abs": …, "changed_fraction": …, "elements": …}, …], "changed": 12, "total": 39,
    /// "elements": …, "changed_elements": …, "left_out": 0}`. Norms as in `model diff`; the tensors that changed most by
    /// `relative_l2` first, at most ``EvidencePiece/mostTensors`` of them.
    package static let diff = EvidenceName(.diff)

    /// What the arithmetic ran on: `{"software": …, "kernels": "avx2", "threads": 2, "core_type": …, "blas": …,
    /// "peak_memory": bytes, "seconds": {"edit": 12.5, …}}`.
    package static let environment = EvidenceName(.environment)

    /// The units that a localized edit touched: `{"neurons": {"width": 512, "layers": [{"layer": 0, "units": [3, 17],
    /// "scores": [0.41, 0.12]}, …]}, "heads": {"width": 8, "layers": […]}, "parameters": {"touched": 3072, "total":
    /// 870528}}`. `width` is how many units of the sort a layer has, `layers` lists every layer of the model, `scores`
    /// stand in the order of `units`, and the larger the more the unit was held to carry what is forgotten.
    package static let units = EvidenceName(.units)

    /// What attacks brought back: one member for each attack by its name, `{"relearn": {"x": {"name": "steps",
    /// "values": [0, 5, 10]}, "y": "forget_accuracy", "series": {"result": […], "reference": […], "before": […]},
    /// "gap": 0.02, "survived": true}, "quantize": {"x": {"name": "type", "labels": ["none", "int8", "int4"]}, …}}`.
    /// A series is as long as `x`; `survived` is null where nothing tells.
    package static let attack = EvidenceName(.attack)
}
