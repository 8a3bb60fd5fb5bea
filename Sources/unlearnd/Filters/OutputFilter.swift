// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import Protocol

/// Gathers the hashed n-grams of forget sets: enough to notice that a model says them, and no text.
struct OutputFilter {
    /// Bytes of a hash that are kept.
    static let hashBytes = 8

    private let n: Int
    private let minimum: Int
    private let key: SymmetricKey
    private var hashes: Set<UInt64> = []
    /// Rows whose texts are in it.
    private(set) var rows = 0
    /// Rows of ids, or with too few words.
    private(set) var skipped = 0

    /// An empty filter.
    init(n: Int, minimum: Int, salt: [UInt8]) {
        self.n = n
        self.minimum = minimum
        key = SymmetricKey(data: salt)
    }

    /// Adds a set's rows.
    mutating func add(_ set: [DatasetRow]) {
        for row in set {
            guard let grams = FilterWords.grams(of: row, n: n, minimum: minimum), !grams.isEmpty else {
                skipped += 1
                continue
            }
            rows += 1
            for gram in grams { hashes.insert(hash(gram)) }
        }
    }

    /// The first 8 bytes of HMAC-SHA-256 under the salt, big-endian.
    private func hash(_ gram: String) -> UInt64 {
        HMAC<SHA256>.authenticationCode(for: Data(gram.utf8), using: key).prefix(Self.hashBytes)
            .reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The hashes in ascending order.
    var sorted: [UInt64] { hashes.sorted() }
}
