// SPDX-License-Identifier: Apache-2.0

import Engine
import Testing

/// Which rank keeps what of the parameters.
struct ShardPlanTests {
    private static let models = [
        #"{"model_type": "gpt2", "vocab_size": 300, "n_positions": 32, "n_embd": 64, "n_layer": 3, "n_head": 4}"#,
        #"{"model_type": "llama", "vocab_size": 300, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}"#,
    ]

    @Test(arguments: models, [2, 3, 7])
    func `each value of a block has one keeper, and what lies in no block all`(json: String, ranks: Int)
        throws
    {
        let table = try ParameterTable(ModelConfiguration(json: Array(json.utf8)))
        let plan = ShardPlan(table, ranks: ranks)
        let all = 0..<table.count
        var keepers = [Int](repeating: 0, count: table.count)
        for rank in 0..<ranks {
            let kept = plan.kept(by: rank, of: all)
            let missing = plan.missing(in: rank, of: all)
            // Together they are everything, once.
            let parts = (kept + missing).sorted { $0.lowerBound < $1.lowerBound }
            #expect(parts.first?.lowerBound == 0 && parts.last?.upperBound == table.count)
            #expect(zip(parts, parts.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
            for index in kept.joined() { keepers[index] += 1 }
        }
        for entry in table.entries {
            let expected = entry.layer == nil ? ranks : 1
            #expect(entry.range.allSatisfy { keepers[$0] == expected }, "\(entry.name)")
        }
        #expect(plan.shared == plan.blocks.reduce(0) { $0 + $1.count })
    }

    @Test func `slices of a block are of nearly equal length`() throws {
        let table = try ParameterTable(ModelConfiguration(json: Array(Self.models[0].utf8)))
        let plan = ShardPlan(table, ranks: 4)
        for block in plan.blocks {
            for rank in 0..<4 {
                let own = plan.kept(by: rank, of: block).reduce(0) { $0 + $1.count }
                #expect(abs(own - block.count / 4) <= 1024, "rank \(rank) keeps \(own) of \(block.count)")
            }
        }
    }
}
