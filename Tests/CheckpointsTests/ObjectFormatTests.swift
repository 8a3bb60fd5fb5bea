// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import Testing

struct ObjectFormatTests {
    /// The object of 41 bytes `37 i mod 256`, as bfloat16, written by an independent program.
    static let golden =
        "554c4f310101000f2900000000000000eb45f4353226eb021dd0e6abf8a3aab21f8cbc93ee652794"
        + "5768cd509e59500a0000000000000000000000000000000000000000000000000000000000000000"
        + "020214000015000000af61f53000140000005e6ef9103ce1a3f3009429bc50e5790ca035c85cf185"
        + "18ac41d468fdc84ade73079a2ec356ea7f13a63acf62f68b1fb246"

    @Test func `an object file has exactly the documented bytes`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let raw = (0..<41).map { UInt8(truncatingIfNeeded: $0 * 37) }
        let id = try store.begin().put(raw, kind: .chunk, dtype: .bf16).id
        let file = try Data(contentsOf: URL(fileURLWithPath: store.objectPath(id)))
        #expect(file.map { String(format: "%02x", $0) }.joined() == Self.golden)
        #expect(try store.get(id) == raw)
        #expect(try store.stat(id)?.dtype == .bf16)
    }
}
