// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Plain threads: the work here computes and blocks, which the cooperative pool must not.
struct Threads {
    private var handles: [pthread_t] = []

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts up to `count` threads that each run `body` once. Fewer start when the system refuses more.
    init(_ count: Int, _ body: @escaping @Sendable () -> Void) {
        for _ in 0..<count {
            let box = Unmanaged.passRetained(Body(body))
            #if canImport(Darwin)
                var handle: pthread_t?
                let result = pthread_create(&handle, nil, { Threads.enter($0) }, box.toOpaque())
                if result == 0, let handle { handles.append(handle) } else { box.release() }
            #else
                var handle = pthread_t()
                let result = pthread_create(&handle, nil, { Threads.enter($0) }, box.toOpaque())
                if result == 0 { handles.append(handle) } else { box.release() }
            #endif
        }
    }

    /// How many run.
    var count: Int { handles.count }

    /// Waits until all have returned.
    func join() {
        for handle in handles { pthread_join(handle, nil) }
    }

    private static func enter(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
    }
}

/// State behind a lock whose changes can be waited for.
final class Monitor<State>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var state: State

    init(_ state: State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(changed)
        mutex.deallocate()
        changed.deallocate()
    }

    /// Changes the state and wakes those who wait.
    func update<R>(_ body: (inout State) -> R) -> R {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
        }
        return body(&state)
    }

    /// Waits until `body` gives a value.
    func await<R>(_ body: (inout State) -> R?) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) { return result }
            pthread_cond_wait(changed, mutex)
        }
    }
}
