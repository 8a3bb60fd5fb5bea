// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `model hold`.
struct ModelHold: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "hold", abstract: "Keep a version from being given up, for a reason.",
        discussion:
            "A version has one hold; another one takes its place. An administrator ends it with unhold.")
    @Argument(
        help: "The version, MODEL@vN.", completion: LiveCompletion.versions, transform: Arguments.version)
    var version: VersionReference
    @Option(help: ArgumentHelp("Why.", valueName: "text")) var reason: String
    @Option(
        help: ArgumentHelp("When it ends by itself: RFC 3339, or +3d.", valueName: "time"),
        transform: Arguments.time)
    var until: Timestamp?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = try session.call(
            .modelHold, HoldParams(version: version, reason: reason, until: until))
        if session.output.isJSON { return session.output.json(raw) }
        let end = until.map { "until \($0)" } ?? "until it is released"
        session.output.data(session.output.isQuiet ? "\(version)" : "\(version) is held \(end)")
    }
}

/// `model unhold`.
struct ModelUnhold: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "unhold", abstract: "End the hold of a version; for administrators.")
    @Argument(
        help: "The version, MODEL@vN.", completion: LiveCompletion.versions, transform: Arguments.version)
    var version: VersionReference
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = try session.call(.modelUnhold, VersionParams(version: version))
        if session.output.isJSON { return session.output.json(raw) }
        session.output.data(session.output.isQuiet ? "\(version)" : "\(version) is no longer held")
    }
}
