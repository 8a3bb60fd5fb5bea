// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `submit METHOD`.
struct Submit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit", abstract: "Queue a job: unlearn, train or measure.",
        discussion: """
            Methods that train on what is to be forgotten: ascent and graddiff (plain ascent), npo and simnpo (ascent with an \
            end), dpo, idk, altpo and update (another answer), undial, wga, satimp, ceu, pdu and rmu. exact and retrain make the model that never saw it. task-vector is arithmetic on \
            weights. finetune trains on; evaluate only measures. “unlearnctl submit METHOD --help” explains each, with its \
            formula and when to use it. If in doubt: npo. Jobs that are written down in a file are queued with \
            “unlearnctl submit --spec FILE”.
            """,
        subcommands: [
            SubmitAscent.self, SubmitGradDiff.self, SubmitNpo.self, SubmitSimNpo.self, SubmitDpo.self,
            SubmitIdk.self, SubmitAltPo.self,
            SubmitUpdate.self, SubmitUndial.self, SubmitWga.self, SubmitSatImp.self, SubmitCeu.self,
            SubmitPdu.self, SubmitRmu.self,
            SubmitExact.self, SubmitRetrain.self, SubmitTaskVector.self, SubmitAblate.self,
            SubmitDampen.self, SubmitFinetune.self,
            SubmitEvaluate.self, SubmitAttack.self, SubmitFile.self,
        ], defaultSubcommand: SubmitFile.self)
}
