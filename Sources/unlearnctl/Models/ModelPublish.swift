// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `model publish`.
struct ModelPublish: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish",
        abstract: "Keep a directory that serving engines read at a model's head; for administrators.",
        discussion: """
            TARGET is a name under publish_targets in the daemon's configuration, which says where the directory is and \
            which program runs after each switch. The head's files are written to DIRECTORY/versions/vN-DIGEST, byte for \
            byte as “model export” writes them, and DIRECTORY/current is a link that names them, replaced in one step. \
            From then on every move of the head queues a job that does the same. The copy before is kept until the next \
            switch, unless a rollback withdrew it or it still knows what the head was made to forget. “model show” says \
            how the target stands. With --off the target no longer follows the model, and its link and copies are removed.
            """)
    @Argument(help: "The model.", completion: LiveCompletion.models, transform: Arguments.model) var model:
        ModelName
    @Argument(help: "The publish target.") var target: String
    @Flag(help: "End it.") var off = false
    @Flag(help: "Do not wait for the job.") var detach = false
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let (output, params) = (session.output, PublishParams(model: model, target: target))
        if off {
            let raw = try session.call(.modelUnpublish, params)
            if output.isJSON { return output.json(raw) }
            let result = try Connection.decode(UnpublishResult.self, raw)
            for left in result.left { output.warn("left: \(Text.safe(left))") }
            return output.data(
                output.isQuiet
                    ? target
                    : "\(Text.safe(target)) no longer shows \(model): \(result.removed.count) of its copies removed"
            )
        }
        let raw = try session.call(.modelPublish, params)
        let result = try Connection.decode(PublishResult.self, raw)
        if detach {
            if output.isQuiet { return output.data("\(result.job.id)") }
            if output.isJSON { return output.json(raw) }
            return output.data("job \(result.job.id) publishes \(model) to \(Text.safe(target))")
        }
        try session.awaitAndShow([result.job.id])
    }
}
