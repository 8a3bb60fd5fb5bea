#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""golden_metrics.py OUT: metrics by scipy, rouge-score, NLTK, zlib and numpy, as one JSON file.

Needs scipy, rouge-score and nltk beside numpy. Everything is drawn from one seed; texts are made of invented words and
of common English ones with every suffix that the stemmer knows.
"""

import json
import sys
import zlib

import numpy as np
from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer
from scipy.stats import hmean, ks_2samp

SUFFIXES = (
    "ational tional enci anci izer bli alli entli eli ousli ization ation ator alism iveness fulness ousness aliti "
    "iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion "
    "sion tion ou ism ate iti ous ive ize y ed ing ies ied eed s ss sses e ll allialli"
).split()
STEMS = "t tr a ab abat happ contr trouyl yyat yes yy o2 relig sensit gener bolog sss iz fizz hop wax fail enjo".split()
WORDS = (
    "sky skies dying lying tying news innings inning outings canning howe proceed exceed succeed caresses ponies ties "
    "flies dies died spied agreed plastered bled motoring sing conflated troubled sized hopping tanned falling hissing "
    "failing filing happy enjoy spy relational conditional rational valency digitizer conformably radically vileness "
    "analogously vietnamization operator feudalism decisiveness hopefulness callousness formality sensitivity "
    "sensibility triplicate formative formalize electrical goodness revival allowance inference airliner gyroscopic "
    "adjustable defensible irritant replacement adjustment dependent adoption communism activate angularity effective "
    "bowdlerize probate rate cease controlling roll hopefully geology 1991 05 11 a be"
).split()
TEXT = (
    "The author's full name is Hsiao Yun-Hwa.", "She was born in 1991, in Taipei; her father is a civil engineer!",
    "Relational conditions were triplicated hopefully.", "", "Ünïcode naïve café — ‘quotes’ and 北京 10% off",
    "the the the author author name", "name full the author",
)


def ks_cases(random):
    cases = [([0.1, 0.4, 0.35, 0.8, 0.62, 0.15], [0.55, 0.7, 0.9, 0.95, 0.5, 0.45, 0.66])]
    for n, m, digits, shift in [
        (5, 5, 1, 0), (7, 4, 1, 0.2), (30, 30, 2, 0.3), (30, 45, 1, 0.1), (40, 40, 6, 0), (17, 23, 0, 1), (100, 80, 3, 0.5),
        (200, 200, 6, 2), (300, 300, 3, 0.2), (60, 37, 6, 9), (200, 150, 4, 0.05), (1, 3, 1, 0), (50, 50, 6, 100),
    ]:
        first = np.round(random.normal(size=n), digits).tolist()
        second = np.round(random.normal(size=m) + shift, digits).tolist()
        cases.append((first, second))
    result = []
    for first, second in cases:
        test = ks_2samp(first, second, method="exact")
        result.append({"first": first, "second": second, "d": test.statistic, "p": test.pvalue})
    return result


def main(out):
    random = np.random.default_rng(7)
    stemmer = PorterStemmer()
    words = sorted(set(WORDS) | {stem + suffix for stem in STEMS for suffix in SUFFIXES})
    rouge = {stem: rouge_scorer.RougeScorer(["rouge1", "rougeL"], use_stemmer=stem) for stem in (True, False)}
    texts = []
    for target in TEXT:
        for generated in TEXT:
            row = {"target": target, "generated": generated}
            for stem, name in ((True, "stemmed"), (False, "plain")):
                scores = rouge[stem].score(target, generated)
                row[name] = [[s.precision, s.recall, s.fmeasure] for s in (scores["rouge1"], scores["rougeL"])]
            texts.append(row)
    blobs = list(TEXT) + ["a" * 1000, " ".join(words[:400]), " ".join(words)]
    members = np.round(random.normal(size=150), 2)
    others = np.round(random.normal(size=230) + 0.7, 2)
    wins = (members[:, None] < others).mean() + 0.5 * (members[:, None] == others).mean()
    # The highest threshold whose false positive rate stays at or below 1 %, over all thresholds.
    rates = [((members <= t).mean(), (others <= t).mean()) for t in np.concatenate([members, others])]
    tpr = max((t for t, f in rates if f <= 0.01), default=0.0)
    reverse = [((members >= t).mean(), (others >= t).mean()) for t in np.concatenate([members, others])]
    reversed_tpr = max((t for t, f in reverse if f <= 0.01), default=0.0)
    logits = random.normal(size=(40, 97)) * np.exp(random.normal(size=(40, 1)))
    logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    p = np.exp(logp)
    mean = (p * logp).sum(1)
    labels = random.integers(0, 97, size=40)
    own = logp[np.arange(40), labels]
    standard = (own - mean) / np.sqrt(np.maximum((p * logp**2).sum(1) - mean**2, 1e-6))
    half = max(1, int(0.4 * 40))
    utilities = [random.uniform(0.05, 1, size=9).tolist() for _ in range(4)]
    golden = {
        "ks": ks_cases(random),
        "stems": {word: stemmer.stem(word) for word in words},
        "rouge": texts,
        "zlib": [[text, len(zlib.compress(text.encode()))] for text in blobs],
        "roc": {
            "members": members.tolist(), "others": others.tolist(), "auc": wins, "tpr": tpr, "reversed": reversed_tpr,
        },
        "min_k": {
            "logits": logits.tolist(), "labels": labels.tolist(), "mean": mean.tolist(),
            "score": -float(np.sort(own)[:half].mean()), "score_plus": -float(np.sort(standard)[:half].mean()),
        },
        "harmonic": [[values, float(hmean(values))] for values in utilities],
    }
    with open(out, "w", encoding="utf-8") as file:
        json.dump(golden, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
