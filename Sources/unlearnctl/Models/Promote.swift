// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `promote`.
struct Promote: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "promote",
        abstract: "Make a kept version the head, such as a candidate that the gate refused.")

    @Argument(
        help: "The version, MODEL@vN.", completion: LiveCompletion.versions, transform: Arguments.version)
    var version: VersionReference
    @Option(help: ArgumentHelp("Why, for the audit log.", valueName: "text")) var reason: String
    @OptionGroup(title: "Global") var options: GlobalOptions

    func validate() throws {
        if version.version == nil { throw ValidationError("Name the version: \(version)@vN.") }
    }

    func run(in session: Session) throws(ClientError) {
        try HeadMoveText.show(
            try session.call(.modelPromote, PromoteParams(version: version, reason: reason)), session.output)
    }
}
