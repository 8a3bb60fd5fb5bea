// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

@Suite struct `JSON objects` {
    /// Beside the number from which on there is an index.
    @Test(arguments: [1, 63, 64, 65, 66, 300])
    func `keep order, find, replace and remove members, however many there are`(_ count: Int) throws {
        var object = JSONObject()
        for index in 0..<count { object["key \(index)"] = .integer(Int64(index)) }
        #expect(object.keys == (0..<count).map { "key \($0)" })
        for index in 0..<count { #expect(object["key \(index)"] == .integer(Int64(index))) }
        #expect(object["key \(count)"] == nil)
        let isAddedTwice = object.append("key 0", "again")
        #expect(!isAddedTwice)
        #expect(object["key 0"] == 0)
        let whole = object
        object["key \(count - 1)"] = "replaced"
        #expect(object.count == count && object != whole)
        object["key \(count - 1)"] = .integer(Int64(count - 1))
        #expect(object == whole && object.hashValue == whole.hashValue)
        object["key 0"] = nil
        #expect(object["key 0"] == nil && object.count == count - 1)
        for index in 1..<count { #expect(object["key \(index)"] == .integer(Int64(index))) }
        let isAddedAgain = object.append("key 0", 0)
        #expect(isAddedAgain)
        #expect(object.keys.last == "key 0")
        // The same members in another order make another text.
        #expect(count == 1 || object != whole)
    }

    @Test(arguments: [0, 80])
    func `tell keys apart that look alike`(_ others: Int) throws {
        let members = (0..<others).map { "\"\($0)\":0," }.joined()
        let value = try StrictJSON.parse("{\(members)\"\u{E9}\":1,\"e\u{301}\":2}")
        #expect(value["\u{E9}"] == 1)
        #expect(value["e\u{301}"] == 2)
        #expect(throws: StrictJSON.Failure.self) {
            try StrictJSON.parse("{\(members)\"\u{E9}\":1,\"\\u00e9\":2}")
        }
    }
}
