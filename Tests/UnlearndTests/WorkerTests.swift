// SPDX-License-Identifier: Apache-2.0

import Testing
import unlearnd

struct WorkerTests {
    private static let avx512 = "avx512f avx512bw avx512dq avx512vl avx512cd"

    @Test(
        arguments: [
            ("fpu avx2 fma", "Haswell"), ("fpu avx2", nil), ("", nil), ("avx2 fma \(avx512)", "SkylakeX"),
            ("avx2 fma \(avx512) avx512_bf16", "SkylakeX"), ("avx2 fma avx512f avx512bw", "Haswell"),
        ] as [(String, String?)])
    func `the core type is the best that the processor has`(_ flags: String, _ type: String?) {
        let text = "processor : 0\nmodel name : x\nflags\t\t: \(flags)\n\nprocessor : 1\nflags : \n"
        #expect(CPUFeatures(cpuinfo: text).openBLASCoreType == type)
    }

    @Test func `lines are cut wherever the pieces end`() throws {
        let text = Array("one\n\nthree\nrest".utf8)
        for cut in 0...text.count {
            var splitter = LineSplitter(limit: 5)
            let lines = try splitter.append(text[..<cut]) + splitter.append(text[cut...])
            #expect(lines.map { String(decoding: $0, as: UTF8.self) } == ["one", "", "three"])
        }
    }

    @Test func `a line that is too long is refused before it is whole`() throws {
        var splitter = LineSplitter(limit: 5)
        #expect(try splitter.append(Array("12345".utf8)).isEmpty)
        #expect(throws: LineSplitter.TooLong.self) { try splitter.append([0x36]) }
    }
}
