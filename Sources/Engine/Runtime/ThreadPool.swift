// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The engine's own threads: they run numbered tiles of one operation at a time.
///
/// Which thread runs which tile is left to chance; tiles write disjoint memory and are cut by shape alone, so
/// results do not depend on the number of threads. Not for blocking work, and not re-entrant.
package final class ThreadPool: @unchecked Sendable {
    /// How many threads run tiles, the caller among them.
    package let threads: Int

    private struct Shared {
        var mutex = pthread_mutex_t()
        var wake = pthread_cond_t()
        var done = pthread_cond_t()
        var body: ((_ tile: Int, _ worker: Int) -> Void)?
        var count = 0
        var stopping = false
    }

    private let shared: UnsafeMutablePointer<Shared>
    private let generation = Atomic<Int>(0)
    private let nextTile = Atomic<Int>(0)
    private let busy = Atomic<Int>(0)
    private let caller: UnsafeMutablePointer<pthread_mutex_t>
    private var workers: [pthread_t] = []

    /// How often a thread looks for news before it sleeps: about the cost of being woken.
    private static let spins = 20_000

    private final class Start {
        let pool: Unmanaged<ThreadPool>
        let worker: Int
        init(pool: Unmanaged<ThreadPool>, worker: Int) {
            self.pool = pool
            self.worker = worker
        }
    }

    /// Starts `threads - 1` threads; the caller of ``parallel(_:_:)`` is the last one.
    ///
    /// - Throws: ``EngineError`` with `.resources` if a thread cannot be started.
    package init(threads: Int) throws(EngineError) {
        self.threads = max(1, threads)
        shared = .allocate(capacity: 1)
        shared.initialize(to: Shared())
        caller = .allocate(capacity: 1)
        caller.initialize(to: pthread_mutex_t())
        pthread_mutex_init(&shared.pointee.mutex, nil)
        pthread_mutex_init(caller, nil)
        pthread_cond_init(&shared.pointee.wake, nil)
        pthread_cond_init(&shared.pointee.done, nil)
        for worker in 1..<max(1, self.threads) where self.threads > 1 {
            // Unretained: deinit joins the threads before the pool goes away.
            let start = Start(pool: .passUnretained(self), worker: worker)
            var thread = pthread_t()
            let argument = Unmanaged.passRetained(start)
            let status = pthread_create(
                &thread, nil,
                { argument in
                    guard let argument else { return nil }
                    let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                    start.pool._withUnsafeGuaranteedRef { $0.serve(worker: start.worker) }
                    return nil
                }, argument.toOpaque())
            guard status == 0 else {
                argument.release()
                throw EngineError(
                    .resources, "thread \(worker) of \(self.threads) cannot be started (error \(status))",
                    hint: "Ask for fewer threads or raise the limit on tasks.")
            }
            workers.append(thread)
        }
    }

    deinit {
        pthread_mutex_lock(&shared.pointee.mutex)
        shared.pointee.stopping = true
        pthread_cond_broadcast(&shared.pointee.wake)
        pthread_mutex_unlock(&shared.pointee.mutex)
        for worker in workers { pthread_join(worker, nil) }
        pthread_cond_destroy(&shared.pointee.wake)
        pthread_cond_destroy(&shared.pointee.done)
        pthread_mutex_destroy(&shared.pointee.mutex)
        pthread_mutex_destroy(caller)
        shared.deinitialize(count: 1)
        shared.deallocate()
        caller.deallocate()
    }

    /// Runs `body` for the tiles `0..<count` and returns when all are done.
    ///
    /// - Parameter body: Gets the tile's number and the number of the thread that runs it, in `0..<threads`, to
    ///   choose scratch memory by. Must not call `parallel` again.
    package func parallel(_ count: Int, _ body: (_ tile: Int, _ worker: Int) -> Void) {
        guard threads > 1, count > 1 else {
            for tile in 0..<max(0, count) { body(tile, 0) }
            return
        }
        pthread_mutex_lock(caller)
        defer { pthread_mutex_unlock(caller) }
        withoutActuallyEscaping(body) { body in
            pthread_mutex_lock(&shared.pointee.mutex)
            shared.pointee.body = body
            shared.pointee.count = count
            nextTile.store(0, ordering: .relaxed)
            busy.store(threads - 1, ordering: .relaxed)
            generation.add(1, ordering: .releasing)
            pthread_cond_broadcast(&shared.pointee.wake)
            pthread_mutex_unlock(&shared.pointee.mutex)

            drain(body, count: count, worker: 0)

            var spins = 0
            while busy.load(ordering: .acquiring) > 0 && spins < Self.spins { spins += 1 }
            pthread_mutex_lock(&shared.pointee.mutex)
            while busy.load(ordering: .acquiring) > 0 {
                pthread_cond_wait(&shared.pointee.done, &shared.pointee.mutex)
            }
            shared.pointee.body = nil
            pthread_mutex_unlock(&shared.pointee.mutex)
        }
    }

    private func drain(_ body: (Int, Int) -> Void, count: Int, worker: Int) {
        while true {
            let tile = nextTile.add(1, ordering: .relaxed).oldValue
            guard tile < count else { return }
            body(tile, worker)
        }
    }

    /// Runs tiles of the present operation. Never inlined: the reference to the body must be gone before this
    /// thread is counted out, because the body does not outlive the call that brought it.
    @inline(never)
    private func work(_ worker: Int) {
        if let body = shared.pointee.body { drain(body, count: shared.pointee.count, worker: worker) }
    }

    private func serve(worker: Int) {
        var seen = 0
        while true {
            var spins = 0
            while generation.load(ordering: .acquiring) == seen && spins < Self.spins { spins += 1 }
            pthread_mutex_lock(&shared.pointee.mutex)
            while generation.load(ordering: .acquiring) == seen && !shared.pointee.stopping {
                pthread_cond_wait(&shared.pointee.wake, &shared.pointee.mutex)
            }
            let stopping = shared.pointee.stopping
            seen = generation.load(ordering: .acquiring)
            pthread_mutex_unlock(&shared.pointee.mutex)
            if stopping { return }
            work(worker)
            if busy.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
                pthread_mutex_lock(&shared.pointee.mutex)
                pthread_cond_signal(&shared.pointee.done)
                pthread_mutex_unlock(&shared.pointee.mutex)
            }
        }
    }
}
