// SPDX-License-Identifier: Apache-2.0

import Engine
import Testing

@Suite struct ParameterTableTests {
    private func table(_ name: String) throws -> ParameterTable {
        try Transformer(GoldenModel(name).configuration, context: ComputeContext(threads: 1)).table
    }

    private func tensors(_ table: ParameterTable) -> [(name: String, shape: [Int])] {
        table.entries.map { ($0.name, $0.shape) }
    }

    private func message(_ table: ParameterTable, _ tensors: [(name: String, shape: [Int])]) -> String {
        do throws(EngineError) {
            _ = try table.bind(tensors)
            return "bound"
        } catch { return error.message }
    }

    @Test func `parameters begin at 64-byte boundaries and do not overlap`() throws {
        let table = try table("llama-scaled")
        var end = 0
        for entry in table.entries {
            #expect(entry.offset >= end && entry.offset.isMultiple(of: 16))
            #expect(entry.count == entry.shape.reduce(1, *))
            end = entry.offset + entry.count
        }
        #expect(end <= table.count)
    }

    @Test(arguments: GoldenModel.names)
    func `names bind with and without the prefix of the base model`(name: String) throws {
        let table = try table(name)
        let prefix = name == "gpt2" ? "transformer." : name.hasPrefix("neox") ? "gpt_neox." : "model."
        let short = tensors(table).map {
            ($0.name.hasPrefix(prefix) ? String($0.name.dropFirst(prefix.count)) : $0.name, $0.shape)
        }
        #expect(short.map(\.0) != tensors(table).map(\.name))
        #expect(try table.bind(short).map(\.entry) == table.bind(tensors(table)).map(\.entry))
        #expect(try table.bind(short).count == table.entries.count)
    }

    @Test func `derived buffers are passed over and a second copy of a tied matrix is an alias`() throws {
        let gpt2 = try table("gpt2")
        let extra: [(name: String, shape: [Int])] = [
            ("h.0.attn.bias", [1, 1, 40, 40]), ("transformer.h.1.attn.masked_bias", []),
            ("lm_head.weight", [97, 32]),
        ]
        let bindings = try gpt2.bind(tensors(gpt2) + extra)
        #expect(bindings.count == gpt2.entries.count + 1)
        #expect(bindings.filter(\.isAlias).map(\.tensor) == ["lm_head.weight"])
        let renamed = tensors(gpt2).map {
            ($0.name == "transformer.wte.weight" ? "lm_head.weight" : $0.name, $0.shape)
        }
        #expect(try gpt2.bind(renamed).allSatisfy { !$0.isAlias })
        let llama = try table("llama-tied")
        let bound = try llama.bind(tensors(llama) + [("model.layers.0.self_attn.rotary_emb.inv_freq", [4])])
        #expect(bound.count == llama.entries.count)
    }

    @Test func `the head of GPT-NeoX has two names, tied or not`() throws {
        for name in ["neox-parallel", "neox-sequential"] {
            let table = try table(name)
            let plain = tensors(table).filter { $0.name != "embed_out.weight" }
            for head in ["embed_out.weight", "lm_head.weight"] {
                let bindings = try table.bind(plain + [(head, [61, 16])])
                #expect(bindings.last?.isAlias == (name == "neox-sequential"))
                #expect(Set(bindings.map(\.entry)).count == table.entries.count)
            }
        }
    }

    @Test func `every fault is named, up to ten, and how many more there are`() throws {
        let table = try table("llama-scaled")
        var all = tensors(table)
        all.removeFirst(2)
        all[0].shape = [7]
        all.append(("model.layers.0.mlp.router.weight", [2, 2]))
        let text = message(table, all)
        for part in [
            "lacks the tensor \(table.entries[0].name)", "lacks the tensor \(table.entries[1].name)",
            "\(all[0].name) has the shape [7]", "mlp.router",
        ] { #expect(text.contains(part), "\(part) in: \(text)") }
        #expect(message(table, []).hasSuffix("and \(table.entries.count - 10) more"))
    }

    @Test func `what does not fit is named`() throws {
        let table = try table("llama-scaled")
        let all = tensors(table)
        #expect(message(table, Array(all.dropLast())).contains("lacks the tensor lm_head.weight"))
        #expect(message(table, all + [("model.layers.0.mlp.router.weight", [2, 2])]).contains("mlp.router"))
        #expect(message(table, all + [all[0]]).contains("same parameter"))
        #expect(message(table, [(all[0].name, [1, 2])] + all.dropFirst()).contains("[1, 2]"))
        #expect(
            message(table, [(all[0].name, all[0].shape.reversed())] + all.dropFirst()).contains(
                "config.json gives it"))
    }
}
