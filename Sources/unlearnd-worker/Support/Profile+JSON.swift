// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol

extension WorkerResult {
    /// Adds the profiles of the job's phases, if there are any, under `profile`.
    mutating func add(_ profiles: JSONObject) {
        guard !profiles.members.isEmpty else { return }
        var object = result?.objectValue ?? JSONObject()
        object["profile"] = .object(profiles)
        result = .object(object)
    }
}

extension Profile.Figures {
    /// Shares of the time by kind of work, and how fast matrix products ran.
    var json: JSONValue {
        var shares = JSONObject()
        for part in Profile.Part.allCases { shares[part.rawValue] = .number(share(seconds[part] ?? 0)) }
        shares["other"] = .number(share(other))
        var object = JSONObject()
        object["seconds"] = .number(total)
        object["shares"] = .object(shares)
        object["gemm_gflops"] = matrixRate.map { .number($0) } ?? .null
        return .object(object)
    }

    /// The same in one line for people.
    var words: String {
        let parts = Profile.Part.allCases.map { ($0.rawValue, seconds[$0] ?? 0) } + [("other", other)]
        let shares = parts.map { "\($0) \(Int((share($1) * 100).rounded())) %" }.joined(separator: ", ")
        return shares + (matrixRate.map { "; gemm \(Int($0.rounded())) GFLOP/s" } ?? "")
    }

    private func share(_ seconds: Double) -> Double { total > 0 ? seconds / total : 0 }
}
