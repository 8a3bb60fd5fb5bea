// SPDX-License-Identifier: Apache-2.0

/// How much memory work on a version's files takes, by 16 MiB chunks: it does not grow with the model.
enum CheckpointMemory {
    private static let chunk = 16 << 20
    /// Bytes of the objects that a reader keeps decoded.
    static let reader = 2 * chunk
    /// More threads are not used.
    private static let mostThreads = 4

    /// Bytes that a rewrite's threads take for values that are fetched from other ranks: f32, of stored halves.
    static func fetching(threads: Int) -> Int { max(1, min(threads, mostThreads)) * 2 * chunk }

    /// Bytes for a rewrite at most: each thread's chunk and two that wait to be hashed, and for each thread the objects of the
    /// versions that are read, decoded or not. Measured for three versions (`VmHWM`, a model of 192 million parameters on two
    /// threads): 183 MiB with all that a worker has.
    static func rewriting(threads: Int, versions: Int = 1) -> Int {
        let threads = max(1, min(threads, mostThreads))
        return (threads + 2) * chunk + threads * versions * chunk / 2
    }
}
