// SPDX-License-Identifier: Apache-2.0

/// `job.evidence`: what a job left behind as evidence.
package struct JobEvidenceParams: Codable, Hashable, Sendable {
    package var job: JobID
    /// One piece, with its content; absent: all pieces, without.
    package var name: EvidenceName?
    /// A query.
    package init(job: JobID, name: EvidenceName? = nil) {
        self.job = job
        self.name = name
    }
}

/// The result of `job.evidence`.
package struct JobEvidenceResult: Codable, Hashable, Sendable {
    package var job: JobID
    /// By name.
    package var pieces: [StoredEvidence]
    /// A result.
    package init(job: JobID, pieces: [StoredEvidence]) {
        self.job = job
        self.pieces = pieces
    }
}

/// A piece of evidence as it is kept.
package struct StoredEvidence: Codable, Hashable, Sendable {
    package var name: EvidenceName
    /// Bytes of the data.
    package var bytes: Int64
    /// Bytes of the texts; 0 when there are none, or none any more.
    package var textBytes: Int64
    /// When the texts were purged; `null` if they were not.
    package var purged: Timestamp?
    /// Whether there are texts that the reader's role may not see.
    package var withheld: Bool
    /// The data; `null` in a list.
    package var data: JSONValue?
    /// The texts; `null` in a list, where there are none, and where they were purged or are withheld.
    package var texts: JSONValue?

    /// A stored piece.
    package init(
        name: EvidenceName, bytes: Int64, textBytes: Int64, purged: Timestamp?, withheld: Bool = false,
        data: JSONValue? = nil, texts: JSONValue? = nil
    ) {
        self.name = name
        self.bytes = bytes
        self.textBytes = textBytes
        self.purged = purged
        self.withheld = withheld
        self.data = data
        self.texts = texts
    }

    enum CodingKeys: String, CodingKey {
        case name, bytes, purged, withheld, data, texts
        case textBytes = "text_bytes"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(bytes, forKey: .bytes)
        try container.encode(textBytes, forKey: .textBytes)
        try container.encode(purged, forKey: .purged)
        try container.encode(withheld, forKey: .withheld)
        try container.encode(data, forKey: .data)
        try container.encode(texts, forKey: .texts)
    }
}
