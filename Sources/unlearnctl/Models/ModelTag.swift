// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `model tag`.
struct ModelTag: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "tag", abstract: "Give a version a name of its own; tagged versions do not expire.",
        discussion: "A tag names one version of a model: set again, it moves.")
    @Argument(
        help: "The version, MODEL@vN.", completion: LiveCompletion.versions, transform: Arguments.version)
    var version: VersionReference
    @Argument(help: "The tag.") var tag: String
    @Flag(help: "Take the tag away.") var remove = false
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = try session.call(
            .modelTag, TagParams(version: version, tag: tag, remove: remove ? true : nil))
        if session.output.isJSON { return session.output.json(raw) }
        let verb = remove ? "is no longer" : "is"
        session.output.data(
            session.output.isQuiet ? "\(version)" : "\(version) \(verb) tagged \(Text.safe(tag))")
    }
}
