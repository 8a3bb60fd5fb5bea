// SPDX-License-Identifier: Apache-2.0

/// What to try when a figure is on the wrong side of its bound.
enum GateAdvice {
    /// The figure is too high.
    static func lower(_ figure: GateFigure) -> String {
        switch figure {
        case .forget, .extractionStrength, .exactMemorization, .probability, .rouge1, .rougeL, .rougeLF,
            .verbatimRun, .nearVerbatim:
            "forget more: more epochs, a higher learning rate or alpha, or a larger scale of the task vector"
        case .auc, .zlibAUC, .minKAUC, .minKPlusAUC, .referenceAUC, .gradientNormAUC, .truePositiveRate:
            "forget rows are still easier than holdout rows: forget more, with more epochs or a higher learning rate"
        case .retainLoss, .perplexity:
            "keep more: a lower alpha or learning rate, more retain rows, or --retain-loss kl"
        case .forgetLoss: "forget less: fewer epochs, a lower learning rate, or a lower --max-forget-loss"
        case .holdoutLoss: "disturb less: a lower learning rate, fewer epochs, or a lower alpha"
        case .privleak, .reversedRate:
            "forget rows have become harder than rows never seen, which tells them apart: stop earlier with "
                + "--max-forget-loss near the holdout loss, or lower the learning rate"
        case .truthRatio:
            "right and wrong answers have become more alike than allowed: check that the bound is the one meant"
        case .leakAtK, .relearnGap, .quantizeGap, .probeGap:
            "the knowledge is suppressed rather than gone: forget more, or with another method"
        case .retain, .utility, .modelUtility, .ksP, .replaced:
            "the model does better than allowed: check that the bound is the one meant"
        }
    }

    /// The figure is too low.
    static func raise(_ figure: GateFigure) -> String {
        switch figure {
        case .retain, .utility, .modelUtility:
            "keep more: a lower alpha or learning rate, fewer epochs, or more retain rows"
        case .auc, .zlibAUC, .minKAUC, .minKPlusAUC, .referenceAUC, .gradientNormAUC:
            "forget rows have become harder than holdout rows, which also tells them apart: stop earlier with "
                + "--max-forget-loss near the holdout loss, or lower the learning rate"
        case .forgetLoss: "forget more: more epochs, a higher learning rate or alpha"
        case .forget, .extractionStrength, .exactMemorization, .probability, .rouge1, .rougeL, .rougeLF,
            .verbatimRun, .nearVerbatim:
            "forget less: fewer epochs, a lower learning rate or alpha, or --max-forget-loss"
        case .ksP:
            "the result can be told from the reference: compare truth_ratio with the reference's to see whether too "
                + "little or too much was forgotten, and change epochs, learning rate or alpha accordingly"
        case .truthRatio:
            "a low ratio means that the right answer is still preferred, or that it is now avoided: compare with the "
                + "reference's forget_loss to see which"
        case .privleak:
            "forget rows are still easier than rows never seen: forget more, with more epochs or a higher learning rate"
        case .replaced: "the old answer is still preferred in some rows: train longer on the replacements"
        case .retainLoss, .holdoutLoss, .perplexity:
            "the loss is lower than allowed: check that the bound is the one meant"
        case .leakAtK, .relearnGap, .quantizeGap, .probeGap, .truePositiveRate, .reversedRate:
            "less leaks than allowed: check that the bound is the one meant"
        }
    }
}
