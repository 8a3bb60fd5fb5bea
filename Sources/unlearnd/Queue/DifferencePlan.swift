// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Which versions may be stored as differences from which.
///
/// A version may be told by the newest version that was made from it, never the other way round: heads, candidates, and
/// what is held or tagged stay in full. A candidate tells no other version either: it may be given up.
struct DifferencePlan {
    /// Older and newer, pairs of newer versions first, so that a chain is built from its full end.
    private(set) var pairs: [ManifestPair] = []
    /// The manifests of the versions that stay in full.
    private(set) var inFull: [Digest] = []
    /// The versions of the pairs; none of them may be purged meanwhile.
    private(set) var versions: [VersionRow] = []

    init(now: Timestamp, _ db: Database) throws {
        let kept = try HoldRow.kept(at: now, db)
        var full: Set<Digest> = []
        let versionsByModel = Dictionary(grouping: try VersionRow.everything(db), by: \.model)
        for model in try ModelRow.all(db) {
            let live = versionsByModel[model.name, default: []].filter { !$0.isGone }
            // Of a version's children that are no candidates, the newest.
            var children: [VersionNumber: VersionRow] = [:]
            for version in live where !version.candidate {
                if let parent = version.parent { children[parent] = version }
            }
            for version in live.sorted(by: { $0.number > $1.number }) {
                if version.number == model.head || version.candidate || kept.contains(version.reference) {
                    full.insert(version.manifest)
                    continue
                }
                guard let child = children[version.number], child.manifest != version.manifest else {
                    continue
                }
                pairs.append(ManifestPair(parent: version.manifest, child: child.manifest))
                versions += [version, child]
            }
        }
        inFull = full.sorted()
    }
}
