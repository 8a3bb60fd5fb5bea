// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A thread beside the pool's, for what waits more than it computes.
final class ServiceThread: @unchecked Sendable {
    private final class Body {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }

    private var thread = pthread_t()

    /// Runs `body` on `owner`, which it does not keep: who owns the thread joins it before it goes away itself.
    ///
    /// - Parameter purpose: What the thread does, as a part of the message.
    /// - Throws: ``EngineError`` with `.resources`.
    init<Owner: AnyObject>(
        of owner: Owner, that purpose: String, _ body: @escaping (Owner) -> Void
    ) throws(EngineError) {
        let owner = Unmanaged.passUnretained(owner)
        let start = Unmanaged.passRetained(Body { owner._withUnsafeGuaranteedRef(body) })
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, start.toOpaque())
        guard status == 0 else {
            start.release()
            throw EngineError(
                .resources, "the thread that \(purpose) cannot be started (error \(status))",
                hint: "Raise the limit on tasks.")
        }
    }

    /// Waits until the body has returned.
    func join() { pthread_join(thread, nil) }
}
