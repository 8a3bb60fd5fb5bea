// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Protocol

extension ConnectionHandler {
    /// Takes one line of the client.
    func receive(_ line: [UInt8]) {
        do throws(RequestEnvelope.Fault) {
            switch try RequestEnvelope.parse(line) {
            case .cancel(let id): cancel(id)
            case .request(let id, let name, let params): try accept(id, name, params)
            }
        } catch {
            send(RPCMessage.failure(id: error.id, error.error))
        }
    }

    private func accept(_ id: RequestID, _ name: String, _ params: JSONValue) throws(RequestEnvelope.Fault) {
        do throws(RPCError) {
            guard pending[id] == nil, subscriptions[id] == nil else {
                throw RPCError(
                    .invalidRequest, "the id is in use by an earlier request of this connection", field: "id")
            }
            if name == Method.sessionHello.rawValue { return try hello(id, params) }
            guard isGreeted else {
                throw RPCError(
                    .notInitialized, "\(name.prefix(64)) came before session.hello",
                    hint: "answer the greeting first")
            }
            guard let method = Method(rawValue: name) else { throw unknown(name) }
            guard peer.role >= method.role else {
                environment.refusals.refused(peer.uid, name, .permissionDenied)
                throw RPCError(
                    .permissionDenied,
                    "\(name) needs the role \(method.role.rawValue); user \(peer.uid) has the role \(peer.role.rawValue)",
                    hint: "ask an administrator to add the user to the group \(RoleRules.operators)")
            }
            if isStopping { throw RPCError(.shuttingDown, "the daemon is stopping", retryAfter: 2000) }
            switch method {
            case .systemPing:
                _ = try Router.decode(NoParams.self, params)
                send(RPCMessage.result(id: id, try Router.encode(PingResult(time: .now))))
            case .eventsSubscribe: try subscribe(id, try Router.decode(SubscribeParams.self, params))
            default: try start(id, method, params)
            }
        } catch {
            throw RequestEnvelope.Fault(id: id, error: error)
        }
    }

    private func hello(_ id: RequestID, _ params: JSONValue) throws(RPCError) {
        guard !isGreeted else {
            throw RPCError(.invalidRequest, "session.hello was answered already", field: "method")
        }
        let hello = try Router.decode(SessionHelloParams.self, params)
        guard hello.protocol == ProtocolLimits.version else {
            return leave(
                with: RPCError(
                    .unsupportedProtocol,
                    "version \(hello.protocol) of the protocol is not spoken here, only \(ProtocolLimits.version)",
                    hint: "use an unlearnctl of the daemon's version, \(Software.version)", field: "protocol"),
                id: id)
        }
        greet()
        let result = SessionHelloResult(
            protocol: ProtocolLimits.version, role: peer.role, uid: Int(peer.uid), session: session.number)
        send(RPCMessage.result(id: id, try Router.encode(result)))
    }

    private func unknown(_ name: String) -> RPCError {
        let near = ClosestName.suggest(for: name, among: Method.allCases.map(\.rawValue))
        return RPCError(
            .methodNotFound, "there is no method \"\(name.prefix(64))\"",
            hint: near.map { "did you mean \($0)?" } ?? "system.schema lists them", field: "method")
    }

    /// Runs a request in a task; those that change something one after the other.
    private func start(_ id: RequestID, _ method: Method, _ params: JSONValue) throws(RPCError) {
        // A wish to stop a job must not wait behind what fills the window.
        let isInBand = method != .jobCancel
        let window = ProtocolLimits().inflight
        guard pending.values.count(where: { $0.isInBand == isInBand }) < window else {
            throw RPCError(
                .tooManyInflight, "\(window) requests of this connection are in flight",
                hint: "wait for an answer first",
                retryAfter: 100)
        }
        let (bound, loop) = (self.bound, channel.eventLoop)
        let (router, session) = (environment.router, self.session)
        let mutates = method.mutates
        let previous = mutates && isInBand ? lastMutation : nil
        let task = Task {
            await previous?.value
            let answer: [UInt8]
            if Task.isCancelled {
                answer = RPCMessage.failure(
                    id: id, RPCError(.requestCancelled, "the request was cancelled before it began"))
            } else if mutates {
                // Once begun, a change is never abandoned half-way, whoever hangs up.
                answer = await Task { await router.answer(method, id: id, params: params, session: session) }
                    .value
            } else {
                answer = await router.answer(method, id: id, params: params, session: session)
            }
            loop.execute { bound.value.finish(id, answer) }
        }
        pending[id] = Pending(task: task, isInBand: isInBand, outlivesClient: mutates)
        if mutates, isInBand { lastMutation = task }
    }

    private func finish(_ id: RequestID, _ answer: [UInt8]) {
        pending[id] = nil
        send(answer)
        closeIfDone()
    }

    /// `$/cancel`: a request that is unknown, or answered already, is no error.
    private func cancel(_ id: RequestID) {
        pending[id]?.task.cancel()
        subscriptions[id]?.cancel()
    }

    private func subscribe(_ id: RequestID, _ params: SubscribeParams) throws(RPCError) {
        guard subscriptions.count < environment.limits.subscriptions else {
            throw RPCError(
                .tooManyInflight, "this connection has \(subscriptions.count) subscriptions",
                hint: "end one with $/cancel and its request's id")
        }
        lastSubscription += 1
        let (number, bound, loop) = (lastSubscription, self.bound, channel.eventLoop)
        let (control, router, session) = (environment.control, environment.router, self.session)
        subscriptions[id] = Task {
            do {
                let subscription = try await control.subscribe(params)
                defer { subscription.cancel() }
                let start = SubscribeResult(
                    sub: number, nextSeq: subscription.nextSeq, snapshot: subscription.snapshot)
                let line = Router.bounded(id, RPCMessage.result(id: id, try Router.encode(start)))
                try await loop.flatSubmit { bound.value.sendPaced(line) }.get()
                for try await event in subscription {
                    let note = try JSONValue(encoding: EventNotification(sub: number, event: event))
                    let line = RPCMessage.notification(method: "event", params: note)
                    try await loop.flatSubmit { bound.value.sendPaced(line) }.get()
                }
            } catch let error as RPCError {
                let line = RPCMessage.failure(id: id, router.reported(error, .eventsSubscribe, session.peer))
                loop.execute { bound.value.send(line) }
            } catch {
                // The client is gone, or no longer wants the events.
            }
            loop.execute { bound.value.unsubscribe(id) }
        }
    }

    private func unsubscribe(_ id: RequestID) {
        subscriptions[id] = nil
        closeIfDone()
    }
}
