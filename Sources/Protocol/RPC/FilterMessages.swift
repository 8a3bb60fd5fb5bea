// SPDX-License-Identifier: Apache-2.0

/// `model.filter`: the hashed n-grams of what a version was made to forget.
package struct ModelFilterParams: Codable, Hashable, Sendable {
    /// Words of an n-gram unless asked otherwise.
    package static let standardN = 5
    /// Least words of a shorter answer unless asked otherwise.
    package static let standardMinimum = 2
    /// Most hashes of one page.
    package static let page = 250_000

    package var version: VersionReference
    /// Words of an n-gram, 2 to 32.
    package var n: Int?
    /// Answers of fewer than `n` words count as a whole from so many words on, 1 to `n`.
    package var minimum: Int?
    /// 32 hexadecimal digits: the salt of the first page, for those after it; absent: a new one.
    package var salt: String?
    /// How many hashes to skip.
    package var offset: Int?
    /// A query.
    package init(
        version: VersionReference, n: Int? = nil, minimum: Int? = nil, salt: String? = nil, offset: Int? = nil
    ) {
        self.version = version
        self.n = n
        self.minimum = minimum
        self.salt = salt
        self.offset = offset
    }
}

/// The result of `model.filter`; a filter's file is one of these with all hashes.
package struct ModelFilter: Codable, Hashable, Sendable {
    /// Names the format.
    package var format = "unlearnd-filter"
    package var formatVersion = 1
    /// The version that must not say it.
    package var model: VersionReference
    package var digest: Digest
    /// The unlearning jobs in the version's line.
    package var jobs: [JobID]
    /// Their forget sets.
    package var datasets: [Digest]
    /// Forget sets that were purged: nothing of them is in the filter.
    package var missing: [Digest]
    package var n: Int
    package var minimum: Int
    /// How words are made; see docs/formats.md.
    package var normalization = "nfkc-lower-lmn-1"
    /// How n-grams are hashed.
    package var hash = "hmac-sha256-64"
    /// 32 hexadecimal digits.
    package var salt: String
    /// Rows that are in it, and rows that are not because they are ids or too short.
    package var rows: Int
    package var skipped: Int
    /// Hashes in all.
    package var count: Int
    /// How often at most an n-gram that is none of these is taken for one: count / 2^64.
    package var falsePositiveBound: Double
    /// Ascending, 8 bytes each, big-endian, in base 64.
    package var hashes: String
    /// The `offset` of the next page; absent at the end.
    package var next: Int?

    /// A filter.
    package init(
        model: VersionReference, digest: Digest, jobs: [JobID], datasets: [Digest], missing: [Digest], n: Int,
        minimum: Int, salt: String, rows: Int, skipped: Int, count: Int, hashes: String, next: Int?
    ) {
        self.model = model
        self.digest = digest
        self.jobs = jobs
        self.datasets = datasets
        self.missing = missing
        self.n = n
        self.minimum = minimum
        self.salt = salt
        self.rows = rows
        self.skipped = skipped
        self.count = count
        falsePositiveBound = Double(count) / 18_446_744_073_709_551_616
        self.hashes = hashes
        self.next = next
    }

    enum CodingKeys: String, CodingKey {
        case format, model, digest, jobs, datasets, missing, n, minimum, normalization, hash, salt, rows,
            skipped
        case count, hashes, next
        case formatVersion = "format_version"
        case falsePositiveBound = "false_positive_bound"
    }
}
