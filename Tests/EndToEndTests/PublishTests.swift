// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Directories that serving engines read, kept at a model's head by a real daemon.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct PublishTests {
    /// A daemon with a publish target, whose configuration and directories outlive it.
    private struct Site {
        let files: CliRun
        let daemon: RunningDaemon
        var target: String { files.directory + "/serving" }
        var versions: String { target + "/versions" }

        /// What the link says, without `versions/`; empty where there is none.
        var current: String {
            let text = try? FileManager.default.destinationOfSymbolicLink(atPath: target + "/current")
            return text.map { $0.replacingOccurrences(of: "versions/", with: "") } ?? ""
        }
        func copies() throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: versions).sorted()
        }
        func told() throws -> String {
            try String(contentsOfFile: files.directory + "/told", encoding: .utf8)
        }

        /// Waits until the target shows a version and no job is left.
        func settle(at version: String) throws {
            try daemon.eventually("\(version) is shown", seconds: 60) {
                let show = try daemon.ctl(["model", "show", "a", "--json"]).json
                let publication = show["publications"]?.arrayValue?.first
                let jobs = try daemon.ctl(["ps", "--json"]).json.arrayValue ?? []
                return publication?["state"] == "current"
                    && publication?["version"]?.stringValue == version
                    && jobs.allSatisfy { ["succeeded", "failed"].contains($0["state"]?.stringValue) }
            }
        }
    }

    private static let telling = """
        { env | sort | tr '\\n' ' '; echo "arguments: $1|$2"; readlink "$UNLEARN_DIRECTORY/../../current"; } >> "${0%/*}/told"
        """

    /// The models `a` and `b`, and the target `serving`, to which nothing is published yet.
    private func prepared(hook: String = telling, _ prepare: (String) throws -> Void = { _ in }) throws
        -> Site
    {
        let files = try CliRun()
        let target = files.directory + "/serving"
        try FileManager.default.createDirectory(
            atPath: target, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        chmod(try files.write("#!/bin/sh\n\(hook)\n", to: "reload"), 0o700)
        let configuration = try files.write(
            """
            parallel: 2
            publish_targets:
              serving:
                directory: \(target)
                # What is run after each switch.
                hook: [\(files.directory)/reload, --quiet, two words]
            log_level: info

            """, to: "c.yaml")
        try prepare(files.directory)
        let daemon = try RunningDaemon(["--config", configuration])
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] {
            let directory = "\(daemon.directory)/\(name)"
            try SyntheticCheckpoint(seed: seed, matrices: 3, side: 256).write(to: directory, shards: 2)
            let nested = directory + "/extra/deep"
            try FileManager.default.createDirectory(atPath: nested, withIntermediateDirectories: true)
            try SyntheticCheckpoint.write(Array("notes\n".utf8), nested + "/notes.txt")
            let output = try daemon.ctl(["model", "import", name, directory])
            #expect(output.status == 0, "\(output.stderr)")
        }
        return Site(files: files, daemon: daemon)
    }

    private func publish(_ site: Site) throws {
        let output = try site.daemon.ctl(["model", "publish", "a", "serving"])
        #expect(output.status == 0, "\(output.stdout) \(output.stderr)")
    }

    @discardableResult
    private func edit(_ site: Site, scale: Double, _ more: [String] = []) throws -> Int32 {
        let output = try site.daemon.ctl(
            [
                "submit", "task-vector", "--model", "a", "--finetuned", "b", "--scale", "\(scale)",
                "--no-evaluate", "--wait",
            ] + more)
        #expect(output.status == 0, "\(output.stderr)")
        return output.status
    }

    private func checkIsExport(_ site: Site, _ version: String) throws {
        let copy = site.daemon.directory + "/export-\(version)-\(UInt32.random(in: 0 ... .max))"
        #expect(try site.daemon.ctl(["model", "export", "a@\(version)", copy]).status == 0)
        let exported = try directoryContents(copy)
        #expect(exported.count == 5)
        #expect(try directoryContents(site.target + "/current/.") == exported)
    }

    @Test
    func
        `each accepted edit and each rollback switches the link, and the copies are the export byte for byte`()
        throws
    {
        let site = try prepared()
        try publish(site)
        let first = site.current
        #expect(first.hasPrefix("v1-"))
        try checkIsExport(site, "v1")
        let told = try site.told()
        #expect(told.contains("UNLEARN_MODEL=a ") && told.contains("UNLEARN_VERSION=v1 "))
        #expect(told.contains("UNLEARN_DIRECTORY=\(site.versions)/\(first) "))
        #expect(told.contains("arguments: --quiet|two words\nversions/\(first)\n"), "\(told)")
        #expect(!told.contains("HOME=") && !told.contains("UNLEARND"), "\(told)")
        let mode = try FileManager.default.attributesOfItem(
            atPath: site.target + "/current/extra/deep/notes.txt")
        #expect(mode[.posixPermissions] as? Int == 0o444)

        let held = open(site.target + "/current/config.json", O_RDONLY)
        let folder = open(site.target + "/current", O_RDONLY | O_DIRECTORY)
        defer {
            close(held)
            close(folder)
        }
        try edit(site, scale: 0.5)
        try site.settle(at: "v2")
        let second = site.current
        #expect(second.hasPrefix("v2-"))
        try checkIsExport(site, "v2")
        #expect(try site.told().contains("UNLEARN_VERSION=v2 "))
        // Whoever opened the old directory still finds everything in it.
        #expect(try site.copies() == [first, second].sorted())
        let late = openat(folder, "extra/deep/notes.txt", O_RDONLY)
        #expect(late >= 0)
        close(late)

        try edit(site, scale: 0.25)
        try site.settle(at: "v3")
        #expect(try site.copies() == [second, site.current].sorted())
        var byte: UInt8 = 0
        #expect(read(held, &byte, 1) == 1 && byte == UInt8(ascii: "{"))

        // A version that a rollback withdrew is not kept.
        #expect(try site.daemon.ctl(["rollback", "a", "--to", "v1"]).status == 0)
        try site.settle(at: "v1")
        #expect(site.current == first)
        #expect(try !site.copies().contains { $0.hasPrefix("v3-") })
        try checkIsExport(site, "v1")

        let show = try site.daemon.ctl(["model", "show", "a"])
        #expect(show.stdout.contains("serving") && show.stdout.contains("current"), "\(show.stdout)")
        let list = try site.daemon.ctl(["ps"])
        #expect(list.stdout.contains("publish"), "\(list.stdout)")
        let audit = try site.daemon.ctl(["audit", "log"])
        #expect(audit.stdout.contains("version.publish") && audit.stdout.contains("model.publish"))
        #expect(try site.daemon.ctl(["audit", "verify"]).status == 0)
    }

    @Test func `a version that still knows what the new head has forgotten goes right after the switch`()
        throws
    {
        let site = try prepared()
        try publish(site)
        let forget = try site.files.write("{\"text\": \"a row to forget\"}\n", to: "f.jsonl")
        try edit(site, scale: 0.5, ["--forget", forget])
        try site.settle(at: "v2")
        #expect(try site.copies() == [site.current])

        // A purge reaches what lies in a target, even where it is shown.
        #expect(try site.daemon.ctl(["rollback", "a", "--to", "v1"]).status == 0)
        try site.settle(at: "v1")
        #expect(try site.daemon.ctl(["model", "publish", "b", "serving"]).status == 6)
        #expect(try site.daemon.ctl(["promote", "a@v2", "--reason", "again"]).status == 0)
        try site.settle(at: "v2")
        #expect(try site.daemon.ctl(["rollback", "a", "--to", "v1"]).status == 0)
        try site.settle(at: "v1")
        try site.daemon.stop()
        // Nobody can write there now, so the target falls behind.
        try SyntheticCheckpoint.write([1], site.target + "/mine")
        try site.daemon.start()
        #expect(try site.daemon.ctl(["promote", "a@v2", "--reason", "again"]).status == 0)
        try site.daemon.eventually("it fails") {
            let show = try site.daemon.ctl(["model", "show", "a", "--json"]).json
            return show["publications"]?.arrayValue?.first?["state"] == "failing"
        }
        let show = try site.daemon.ctl(["model", "show", "a"])
        #expect(show.stdout.contains("serving/mine was not made by unlearnd"), "\(show.stdout)")
        let plan = try site.daemon.ctl(["purge", "--job", "4", "--dry-run", "--json"]).json
        #expect(plan["publications"]?.arrayValue?.map { $0["version"] } == ["a@v1"], "\(plan)")
        unlink(site.target + "/mine")
        let purged = try site.daemon.ctl(["purge", "--job", "4", "--yes", "--json"])
        #expect(purged.status == 0, "\(purged.stderr)")
        #expect(try purged.json["publications"]?.arrayValue?.first?["removed"] == true)
        // The daemon may have tried again meanwhile, and shown what it may.
        #expect(try !(site.copies() + [site.current]).contains { $0.hasPrefix("v1-") })
        let again = try site.daemon.ctl(["model", "publish", "a", "serving", "--json"])
        #expect(again.status == 0, "\(again.stderr)")
        try site.settle(at: "v2")
        try checkIsExport(site, "v2")
    }

    @Test(arguments: ["after-claim", "after-seal", "before-switch", "after-switch", "after-publish-record"])
    func `a daemon that dies at any step leaves a whole version shown and finishes at its next start`(
        point: String
    )
        throws
    {
        let site = try prepared()
        try publish(site)
        let before = site.current
        let old = try directoryContents(site.target + "/current/.")
        try edit(site, scale: 0.5)
        try site.settle(at: "v2")
        let new = try directoryContents(site.target + "/current/.")
        #expect(old != new)
        #expect(try site.daemon.ctl(["rollback", "a", "--to", "v1"]).status == 0)
        try site.settle(at: "v1")
        #expect(site.current == before)
        try site.daemon.stop()
        try site.daemon.start(environment: ["UNLEARND_FAILPOINT": point])
        _ = try site.daemon.ctl(["promote", "a@v2", "--reason", "again"])
        #expect(try site.daemon.process?.wait(seconds: 60) == 128 + SIGKILL)
        let shown = try directoryContents(site.target + "/current/.")
        let isSwitched = point == "after-switch" || point == "after-publish-record"
        #expect(shown == (isSwitched ? new : old))
        try site.daemon.start()
        try site.settle(at: "v2")
        #expect(try directoryContents(site.target + "/current/.") == new)
        #expect(try site.copies().allSatisfy { !$0.hasPrefix(".") })
        #expect(try site.told().hasSuffix("versions/\(site.current)\n"))
    }

    @Test func `a target at another version than the head is put right at the start`() throws {
        let site = try prepared()
        try publish(site)
        let shown = site.current
        try site.daemon.kill()
        unlink(site.target + "/current")
        try site.daemon.start()
        try site.daemon.eventually("the link is back", seconds: 60) { site.current == shown }
        try site.settle(at: "v1")
        try site.daemon.kill()
        // Damaged from outside: a file that is too short.
        let file = site.target + "/current/config.json"
        chmod(file, 0o600)
        truncate(file, 1)
        try site.daemon.start()
        try site.daemon.eventually("the copy is whole", seconds: 60) {
            (try? Data(contentsOf: URL(fileURLWithPath: file)))?.count ?? 0 > 1
        }
        try site.settle(at: "v1")
        try checkIsExport(site, "v1")
    }

    @Test(arguments: ["file", "link", "current", "versions", "store", "open"])
    func `a target in which something else lies is refused and left as it is`(kind: String) throws {
        let site = try prepared { directory in
            let target = directory + "/serving"
            try FileManager.default.createDirectory(
                atPath: directory + "/else", withIntermediateDirectories: true)
            try SyntheticCheckpoint.write([7], directory + "/else/precious")
            switch kind {
            case "file": try SyntheticCheckpoint.write([7], target + "/precious")
            case "link":
                rmdir(target)
                symlink(directory + "/else", target)
            case "current": mkdir(target + "/current", 0o755)
            case "versions": symlink(directory + "/else", target + "/versions")
            case "store":
                try SyntheticCheckpoint.write(Array("somebody's\n".utf8), target + "/.unlearnd-target")
            default: chmod(target, 0o777)
            }
        }
        let paths = try FileManager.default.subpathsOfDirectory(atPath: site.files.directory).sorted()
        let output = try site.daemon.ctl(["model", "publish", "a", "serving"])
        #expect(output.status == 1, "\(output.stdout)")
        let words = [
            "file": "precious was not made by unlearnd", "link": "Not a directory",
            "current": "not made by unlearnd",
            "versions": "not made by unlearnd", "store": "another store's",
            "open": "can be written by others",
        ]
        #expect(output.stderr.contains(words[kind] ?? "?"), "\(output.stderr)")
        #expect(try FileManager.default.subpathsOfDirectory(atPath: site.files.directory).sorted() == paths)
        #expect(try site.daemon.ctl(["model", "publish", "a", "elsewhere"]).status == 5)
        #expect(try site.daemon.ctl(["model", "publish", "a", "/etc"]).status == 5)
    }

    @Test
    func `what is put in the way later stops the switch, is not removed, and a retry goes on without it`()
        throws
    {
        let site = try prepared()
        try publish(site)
        let shown = site.current
        for (place, isDirectory) in [
            ("/versions/mine", true), ("/note", false), ("/versions/v9-0123456789ab", true),
        ] {
            let path = site.target + place
            if isDirectory { mkdir(path, 0o755) } else { try SyntheticCheckpoint.write([7], path) }
            try edit(site, scale: Double.random(in: 0.1...0.9))
            try site.daemon.eventually("the switch fails") {
                try site.daemon.ctl(["model", "show", "a", "--json"]).json["publications"]?.arrayValue?
                    .first?["state"]
                    == "failing"
            }
            #expect(access(path, F_OK) == 0 && site.current == shown)
            if isDirectory { rmdir(path) } else { unlink(path) }
        }
        let job = try site.daemon.ctl(["model", "show", "a", "--json"]).json["publications"]?.arrayValue?
            .first?["job"]
        #expect(try site.daemon.ctl(["retry", "\(job?.integerValue ?? 0)"]).status == 0)
        try site.settle(at: "v4")
        // What others put into a copy stays with its directory.
        let copy = site.versions + "/" + site.current
        try SyntheticCheckpoint.write([7], copy + "/theirs")
        let off = try site.daemon.ctl(["model", "publish", "a", "serving", "--off"])
        #expect(off.status != 0 && off.stderr.contains("did not put there"), "\(off.stdout) \(off.stderr)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: copy) == ["theirs"])
        unlink(copy + "/theirs")
        let again = try site.daemon.ctl(["model", "publish", "a", "serving", "--off"])
        #expect(again.status == 0, "\(again.stderr)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: site.target).isEmpty)
        #expect(try site.daemon.ctl(["model", "show", "a", "--json"]).json["publications"] == [])
        try edit(site, scale: 0.3)
        #expect(try FileManager.default.contentsOfDirectory(atPath: site.target).isEmpty)
        #expect(try site.daemon.ctl(["model", "publish", "b", "serving"]).status == 0)
    }

    @Test func `a hook that fails is a warning, and the switch stands`() throws {
        let site = try prepared(hook: "echo on fire >&2; exit 3")
        let output = try site.daemon.ctl(["model", "publish", "a", "serving", "--json"])
        #expect(output.status == 0, "\(output.stderr)")
        #expect(try output.json["warnings"]?.arrayValue?.first?.stringValue?.contains("status 3") == true)
        #expect(try output.json["result"]?["hook"] == false)
        #expect(site.current.hasPrefix("v1-") && site.daemon.log.contains("on fire"))
        let publication = try site.daemon.ctl(["model", "show", "a", "--json"]).json["publications"]?
            .arrayValue?.first
        #expect(publication?["state"] == "current")
        #expect(publication?["why"]?.stringValue?.contains("status 3") == true)
    }

    @Test func `only what the configuration allows is written to or run`() throws {
        let run = try CliRun()
        func refusal(_ block: String) throws -> String {
            let file = try run.write("publish_targets:\n\(block)\n", to: "c.yaml")
            let errors = run.directory + "/errors"
            try? FileManager.default.removeItem(atPath: errors)
            let process = try ChildProcess(
                Products.path("unlearnd"),
                ["--config", file, "--state-directory", run.directory + "/state", "--socket", run.socket],
                environment: ["PATH": "/usr/bin:/bin", "HOME": run.directory],
                output: run.directory + "/null",
                errors: errors)
            #expect(try process.wait(seconds: 30) == 78)
            return try String(contentsOfFile: errors, encoding: .utf8)
        }
        let program = try run.write("#!/bin/sh\n", to: "hook")
        chmod(program, 0o722)
        #expect(try refusal("  x:\n    directory: relative").contains("absolute path"))
        #expect(try refusal("  x:\n    directroy: /srv").contains("publish_targets.x.directory: is missing"))
        #expect(try refusal("  x:\n    hook: [/bin/true]").contains("directory: is missing"))
        #expect(try refusal("  x:\n    directory: /srv/x\n    hook: /bin/true").contains("must be an array"))
        #expect(try refusal("  x:\n    directory: /srv/x\n    hook: [reload]").contains("list of words"))
        #expect(
            try refusal("  x:\n    directory: /srv/x\n    hook: [\(program)]").contains("written by others"))
        #expect(
            try refusal("  x:\n    directory: /srv/x\n    hook:\n      - /nonexistent").contains(
                "No such file"))
        #expect(try refusal("  a b:\n    directory: /srv/x").contains("no name of a target"))
        #expect(
            try refusal("  x:\n    directory: /srv/x\n  y:\n    directory: /srv/x/").contains("one directory")
        )
        #expect(try refusal("  x: 3\n  x: 4").contains("for the second time"))
    }
}
