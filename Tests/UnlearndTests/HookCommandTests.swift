// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Testing

import unlearnd

/// Programs that the daemon runs after something has happened.
struct HookCommandTests {
    @Test func `gets its words and its environment and nothing else`() async throws {
        let directory = try TemporaryDirectory()
        let program = try directory.write(
            "#!/bin/sh\nenv | cut -d= -f1 | sort | tr '\\n' ' ' > \"$1\"; echo \"$2\" >> \"$1\"\n", "hook",
            mode: 0o700)
        let out = directory.path + "/out"
        let hook = HookCommand(executable: program, arguments: [out, "$HOME; `id`"])
        #expect(await hook.run(["WHAT": "it"]) == nil)
        let text = try String(contentsOfFile: out, encoding: .utf8)
        #expect(text == "LANG PATH PWD WHAT $HOME; `id`\n")
    }

    @Test func `says how it failed, and is killed with what it started when its time is over`() async throws {
        let directory = try TemporaryDirectory()
        let failing = try directory.write("#!/bin/sh\nexit 7\n", "failing", mode: 0o700)
        #expect(await HookCommand(executable: failing).run([:])?.contains("status 7") == true)
        let out = directory.path + "/child"
        let slow = try directory.write("#!/bin/sh\nsleep 300 & echo $! > \(out); wait\n", "slow", mode: 0o700)
        let begin = ContinuousClock.now
        let fault = await HookCommand(executable: slow, limit: 0.5).run([:])
        #expect(fault?.contains("within 0.5 s") == true, "\(fault ?? "none")")
        #expect(ContinuousClock.now - begin < .seconds(20))
        let child = try #require(Int32(try String(contentsOfFile: out, encoding: .utf8).dropLast()))
        for _ in 0..<200 where kill(child, 0) == 0 { try await Task.sleep(for: .milliseconds(20)) }
        // Gone, or dead and not yet collected by whoever inherits it.
        let state = (try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8))?.split(
            separator: ")"
        ).last
        #expect(state == nil || state?.hasPrefix(" Z") == true)
    }

    @Test func `what others can write is not run`() async throws {
        let directory = try TemporaryDirectory()
        let program = try directory.write("#!/bin/sh\ntouch \(directory.path)/ran\n", "hook", mode: 0o722)
        #expect(await HookCommand(executable: program).run([:])?.contains("written by others") == true)
        #expect(HookCommand(executable: "reload").fault?.contains("absolute") == true)
        #expect(HookCommand(executable: directory.path).fault?.contains("no file") == true)
        chmod(program, 0o700)
        #expect(HookCommand(executable: program).fault == nil)
        chmod(directory.path, 0o777)
        #expect(HookCommand(executable: program).fault?.contains(directory.path) == true)
        #expect(!FileManager.default.fileExists(atPath: directory.path + "/ran"))
    }
}
