// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing
import Yams

@Suite struct `Strict YAML` {
    private func read(_ text: String) throws -> JSONValue {
        let documents = try StrictYAML.parse(text)
        try #require(documents.count == 1)
        return documents[0].value
    }

    @Test func `reads what people write`() throws {
        let value = try read(
            """
            # A job.
            kind: npo            # the method
            model: people@v1
            "gate": 'forget=good, it''s due'
            seed: 7
            parameters:
              learning_rate: 1e-5
              shuffle: false
              betas: [0.9, 0.999]
              layers: {from: 4, "to": 7,}
              train_tensors:
              - '*.mlp.down_proj.weight'
              - lm_head.weight
            after:
              - 3
              - job: 4
                condition: any
            at: 2026-01-31T12:00:00Z
            nothing:
            long: |
              first: line
                second # line

            joined: >-
              one
              two

              three
            list: [
              a, b,  # and
              "c\\n\\u00e9"
            ]
            """)
        let expected: JSONValue = [
            "kind": "npo", "model": "people@v1", "gate": "forget=good, it's due", "seed": 7,
            "parameters": [
                "learning_rate": 1e-5, "shuffle": false, "betas": [0.9, 0.999],
                "layers": ["from": 4, "to": 7],
                "train_tensors": ["*.mlp.down_proj.weight", "lm_head.weight"],
            ],
            "after": [3, ["job": 4, "condition": "any"]],
            "at": "2026-01-31T12:00:00Z", "nothing": nil, "long": "first: line\n  second # line\n",
            "joined": "one two\nthree", "list": ["a", "b", "c\n\u{E9}"],
        ]
        #expect(value == expected)
    }

    @Test func `reads several documents and says where each value begins`() throws {
        let documents = try StrictYAML.parse("a: 1\n---\n# second\nb:\n  - c: x\n    d: [1,\n 2]\n---\n...\n")
        #expect(documents.map(\.value) == [["a": 1], ["b": [["c": "x", "d": [1, 2]]]], nil])
        #expect(documents[1].lines["b.[0].d"] == 6)
        #expect(documents[1].lines["b.[0].d.[1]"] == 7)
        #expect(documents[1].line(of: "b.[0].d.[1].none") == 7)
        #expect(documents[1].line(of: "none") == 4)
        #expect(try StrictYAML.parse("# nothing\n").isEmpty)
        #expect(try StrictYAML.parse("").isEmpty)
    }

    @Test(arguments: [
        ("a: &x 1\nb: *x", 1, "anchor"), ("a: 1\nb: *x", 2, "alias"), ("a: !!str 1", 1, "tag"),
        ("a: ! 1", 1, "tag"), ("&x a: 1", 1, "anchor"), ("a: [1, *x]", 1, "alias"),
        ("<<: {a: 1}", 1, "merge key"),
        ("a: 1\nb: 2\na: 3", 3, "second time"), ("a: 1\n\"\\x61\": 3", 2, "second time"),
        ("{a: 1, a: 2}", 1, "second time"), ("? a\n: 1", 1, "several parts"),
        ("%YAML 1.2\n---\na: 1", 1, "directive"),
        ("a: no", 1, "write false"), ("a: Yes", 1, "write true"), ("a: [on]", 1, "write true"),
        ("a: TRUE", 1, "write true"), ("a: NULL", 1, "write null"), ("a: .nan", 1, "finite"),
        ("a: -.INF", 1, "finite"), ("a: NaN", 1, "finite"), ("a: 0777", 1, "leading zeros"),
        ("a: 007", 1, "leading zeros"),
        ("a: 0x1F", 1, "decimal digits"), ("a: 0o17", 1, "decimal digits"), ("a: 0b11", 1, "decimal digits"),
        ("a: 1_000", 1, "decimal digits"), ("a: 12:30", 1, "decimal digits"),
        ("a: 1:20:30.5", 1, "decimal digits"),
        ("a: +1", 1, "decimal digits"), ("a: .5", 1, "decimal digits"), ("a: 5.", 1, "decimal digits"),
        ("a: 1,000", 1, "decimal digits"), ("a: 1e999", 1, "range of a double"), ("a: b: c", 1, "quote"),
        ("a: b\n  c", 2, "deeper"), ("a:\n  b: 1\n c: 2", 3, "deeper"), ("- a\nb: 1", 2, "not indented"),
        ("a: 1\n\tb: 2", 2, "tab"), ("a: \"x", 1, "does not end"), ("a: 'x\n  y'", 1, "does not end"),
        ("a: \"\\q\"", 1, "escape"), ("a: \"\\ud800\"", 1, "no character"), ("a: [1, 2", 1, "never closed"),
        ("a: ['1' 2]", 1, "“,” or “]”"), ("a: {b}", 1, "“: ”"), ("a: @b", 1, "reserves"),
        ("a: 'b' c", 1, "more text"),
        ("a: x\u{85}y", 1, "U+0085"), ("\u{FEFF}a: 1", 1, "U+FEFF"), ("a: \u{0}", 1, "U+0000"),
        ("a: >\n  b\n    c", 3, "joins lines"), ("--- a: 1", 1, "line of its own"),
        ("a: |2\n  b", 1, "- or +"),
    ])
    func `refuses what readers disagree on, with its line`(_ text: String, _ line: Int, _ word: String) {
        do {
            let documents = try StrictYAML.parse(text)
            Issue.record("took \(text.debugDescription) for \(documents.map(\.value))")
        } catch {
            #expect(error.line == line, "\(error)")
            #expect(error.reason.contains(word), "\(error)")
        }
    }

    @Test func `bombs end early`() throws {
        var bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        for level in 1...40 {
            bomb +=
                "a\(level): &a\(level) ["
                + [String](repeating: "*a\(level - 1)", count: 9).joined(separator: ",") + "]\n"
        }
        for text in [
            bomb, String(repeating: "[", count: 500_000), String(repeating: "{a: ", count: 100_000),
            String(repeating: "- ", count: 60_000) + "a",
            (0..<2000).map { String(repeating: " ", count: $0) + "a:\n" }.joined().prefix(1_000_000) + "",
            "a: [" + String(repeating: "1,", count: 200_000) + "]", String(repeating: "a", count: 2 << 20),
            String(repeating: "\"", count: 1_000_000) + "\n",
        ] {
            let start = ContinuousClock.now
            #expect(throws: StrictYAML.Failure.self) { try StrictYAML.parse(text) }
            #expect(ContinuousClock.now - start < .seconds(2))
        }
    }

    @Test func `means to a general reader what it means to this one, whatever the text`() throws {
        let pieces = [
            "a", "b: ", "c:", "- ", "-", "[", "]", "{", "}", ", ", ",", "'x'", "\"y\\n\"", "'", "\"", "\n",
            "\n  ", "\n ",
            "\n    ", "#", " # c", "1", "0", ".5", "-3e2", "true", "null", "~", "|", ">", "|-", ">+", "---",
            "\n---\n", "...",
            ": ", ":", " ", "  ", "&x", "*x", "!t", "?", "? ", "é", "\\", "\t", "k: v", "\nk: v", "\n- k: v",
            "\n\n", "a b",
            "%", "@", "<<", "\r\n",
        ]
        var random = SystemRandomNumberGenerator()
        var accepted = 0
        for _ in 0..<60_000 {
            let text = (0..<Int.random(in: 1...14, using: &random)).map { _ in
                pieces.randomElement(using: &random)!
            }.joined()
            guard let documents = try? StrictYAML.parse(text), !documents.isEmpty else { continue }
            accepted += 1
            var general: [Node] = []
            do {
                let parser = try Parser(yaml: text, encoding: .utf8)
                while let root = try parser.nextRoot() { general.append(root) }
            } catch {
                Issue.record("took \(text.debugDescription), which is none to others: \(error)")
                continue
            }
            #expect(general.count == documents.count, "\(text.debugDescription)")
            for (one, other) in zip(documents, general) {
                #expect(same(one.value, other), "\(text.debugDescription): \(one.value) and \(other)")
            }
        }
        // Of so many texts enough mean something.
        #expect(accepted > 3000)
    }

    /// Whether a general reader's tree says the same.
    private func same(_ value: JSONValue, _ node: Node) -> Bool {
        switch (value, node) {
        case (.array(let elements), .sequence(let sequence)):
            elements.count == sequence.count && zip(elements, sequence).allSatisfy(same)
        case (.object(let object), .mapping(let mapping)):
            object.count == mapping.count
                && zip(object.members, mapping).allSatisfy {
                    $0.key == $1.key.scalar?.string && same($0.value, $1.value)
                }
        case (.string(let text), .scalar(let scalar)): text == scalar.string
        case (.null, .scalar): node.null != nil
        case (.bool(let bool), .scalar): node.bool == bool
        case (.integer(let integer), .scalar): node.int == Int(integer)
        case (.number(let number), .scalar):
            node.float == number || Double(node.scalar?.string ?? "") == number
        default: false
        }
    }
}
