// SPDX-License-Identifier: Apache-2.0

import Protocol

extension ObjectStore {
    /// The pieces that a version's files, and what is kept beside them, are cut into, in the order of its manifest.
    ///
    /// For whoever looks at every version there is. What else the manifest says is passed over and not checked: its bytes
    /// hash to its name, so they are the ones that were checked as a whole when the version was made.
    /// - Throws: ``CheckpointError``: `.missing`, `.corrupt`, `.newerFormat`, `.ioFailure`.
    func regions(ofManifest id: Digest) throws -> (
        files: [Manifest.Region], attachments: [Manifest.Region]
    ) {
        let bytes = try get(id)
        let members: JSONObject
        do throws(StrictJSON.Failure) {
            members = try StrictJSON.parse(
                bytes, members: ["schema", "flags", "files", "attachments"], limits: Manifest.limits)
        } catch {
            throw Manifest.broken("is not strict JSON: \(error)")
        }
        try Manifest.checkFormat(members)
        guard let files = members["files"]?.arrayValue else { throw Manifest.broken("lacks a member") }
        return (
            try Self.regions(of: files), try Self.regions(of: members["attachments"]?.arrayValue ?? [])
        )
    }

    /// Every object that a version needs besides its manifest.
    func objects(ofManifest id: Digest) throws -> [Digest] {
        let regions = try regions(ofManifest: id)
        return (regions.files + regions.attachments).map(\.id)
    }

    private static func regions(of files: [JSONValue]) throws(CheckpointError) -> [Manifest.Region] {
        var regions: [Manifest.Region] = []
        for file in files {
            guard let pieces = file["regions"]?.arrayValue else {
                throw Manifest.broken("has a file that lacks a member")
            }
            for piece in pieces { regions.append(try Manifest.region(piece)) }
        }
        return regions
    }
}
