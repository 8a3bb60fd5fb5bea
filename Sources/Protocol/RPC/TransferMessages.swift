// SPDX-License-Identifier: Apache-2.0

/// `blob.begin`: announces a dataset's text.
package struct BlobBeginParams: Codable, Hashable, Sendable {
    package var size: Int64
    package var sha256: Digest
    /// An announcement.
    package init(size: Int64, sha256: Digest) {
        self.size = size
        self.sha256 = sha256
    }
}

/// Where to go on: `offset` bytes are there. `dataset` is set when all of it is already stored.
package struct BlobBeginResult: Codable, Hashable, Sendable {
    package var blob: String?
    package var offset: Int64
    package var dataset: Digest?
    /// An upload's position.
    package init(blob: String?, offset: Int64, dataset: Digest?) {
        self.blob = blob
        self.offset = offset
        self.dataset = dataset
    }
}

/// `blob.chunk`: up to ``ProtocolLimits/chunk`` bytes in base 64, at the next offset.
package struct BlobChunkParams: Codable, Hashable, Sendable {
    package var blob: String
    package var offset: Int64
    package var data: String
    /// A chunk.
    package init(blob: String, offset: Int64, data: String) {
        self.blob = blob
        self.offset = offset
        self.data = data
    }
}

/// The next offset.
package struct BlobChunkResult: Codable, Hashable, Sendable {
    package var offset: Int64
    /// A position.
    package init(offset: Int64) { self.offset = offset }
}

/// `blob.commit`: checks the hash and the rows' form, and stores the text as a dataset.
package struct BlobCommitParams: Codable, Hashable, Sendable {
    package var blob: String
    /// What errors call the text, such as the file's name.
    package var name: String?
    /// A commit.
    package init(blob: String, name: String? = nil) {
        self.blob = blob
        self.name = name
    }
}

/// A stored dataset.
package struct DatasetSummary: Codable, Hashable, Sendable {
    package var dataset: Digest
    package var bytes: Int64
    package var rows: Int
    package var created: Timestamp
    /// A summary.
    package init(dataset: Digest, bytes: Int64, rows: Int, created: Timestamp) {
        self.dataset = dataset
        self.bytes = bytes
        self.rows = rows
        self.created = created
    }
}

/// `dataset.list`: oldest first.
package struct DatasetListParams: Codable, Hashable, Sendable {
    /// At most this many; default 1000. A page with fewer is the last.
    package var limit: Int?
    /// Only datasets that come after this place: that of the last one of the page before this one.
    package var after: DatasetPlace?
    /// A query.
    package init(limit: Int? = nil, after: DatasetPlace? = nil) {
        self.limit = limit
        self.after = after
    }
}

/// A place in the list of datasets, which stays where it is when its dataset goes.
package struct DatasetPlace: Codable, Hashable, Sendable {
    package var created: Timestamp
    package var dataset: Digest
    /// A place.
    package init(created: Timestamp, dataset: Digest) {
        self.created = created
        self.dataset = dataset
    }
}

/// Names a dataset by its id or by the beginning of it (at least 8 digits).
package struct DatasetParams: Codable, Hashable, Sendable {
    package var dataset: String
    /// A name.
    package init(dataset: String) { self.dataset = dataset }
}

/// `transfer.open`: announces files whose descriptors follow on the descriptor socket.
package struct TransferOpenParams: Codable, Hashable, Sendable {
    /// Which way the bytes go.
    package enum Direction: String, Codable, Sendable, CaseIterable {
        /// The client's files are read.
        case `import`
        /// The client's empty files are written.
        case export
    }
    package var direction: Direction
    /// Relative paths within the client's directory, in the order of the descriptors.
    package var files: [String]
    /// An announcement.
    package init(direction: Direction, files: [String]) {
        self.direction = direction
        self.files = files
    }
}

/// Where to send the descriptors. Each is sent as one packet on the descriptor socket: the JSON object
/// ``DescriptorPacket`` with exactly one descriptor attached; the server answers each with ``DescriptorReply``.
package struct TransferOpenResult: Codable, Hashable, Sendable {
    package var transfer: String
    /// Good for this transfer, this user and this instance only.
    package var token: String
    package var socket: String
    /// A transfer's address.
    package init(transfer: String, token: String, socket: String) {
        self.transfer = transfer
        self.token = token
        self.socket = socket
    }
}

/// One packet on the descriptor socket, with one descriptor attached.
package struct DescriptorPacket: Codable, Hashable, Sendable {
    package var token: String
    /// The file's position in ``TransferOpenParams/files``.
    package var index: Int
    /// A packet.
    package init(token: String, index: Int) {
        self.token = token
        self.index = index
    }
}

/// The answer to one packet.
package struct DescriptorReply: Codable, Hashable, Sendable {
    /// How many descriptors the transfer has; `nil` when the packet was refused.
    package var received: Int?
    package var error: RPCError?
    /// An answer.
    package init(received: Int? = nil, error: RPCError? = nil) {
        self.received = received
        self.error = error
    }
}
