// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The options that every command has.
struct GlobalOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("The daemon's socket; also UNLEARND_SOCKET in the environment.", valueName: "path")
    )
    var socket: String?

    @Flag(help: "Write JSON: one value, or one a line where there is no end.")
    var json = false

    @Flag(name: [.short, .long], help: "Write identifiers alone, and no progress.")
    var quiet = false

    @Flag(name: .customLong("no-color"), help: "Write no colours; also NO_COLOR in the environment.")
    var noColor = false

    @Option(help: ArgumentHelp("Give up after so long: 90s, 5m, 2h, 3d. Jobs go on.", valueName: "duration"))
    var timeout: Seconds?

    @Flag(help: "Answer yes where a command asks before it destroys something.")
    var yes = false

    /// Those that take a value, and those that do not: for ``ArgumentOrder``.
    static let withValue: Set<String> = ["--socket", "--timeout"]
    static let withoutValue: Set<String> = ["--json", "--quiet", "-q", "--no-color", "--yes"]
}
