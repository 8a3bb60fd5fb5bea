// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `model …`.
struct Models: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Import, export, list and compare models.",
        subcommands: [
            ModelImport.self, ModelExport.self, ModelCreate.self, ModelList.self, ModelShow.self,
            ModelHistory.self,
            ModelDiff.self, ModelFilterCommand.self, ModelTag.self, ModelHold.self, ModelUnhold.self,
            ModelPublish.self, ModelPurge.self, ModelRemove.self,
        ])
}
