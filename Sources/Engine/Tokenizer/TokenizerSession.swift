// SPDX-License-Identifier: Apache-2.0

/// What encoding remembers between words: ids of known words, and buffers that need not be made again.
struct TokenizerSession: Sendable {
    var cache = WordCache()
    var ranks: [UInt64] = []
}
