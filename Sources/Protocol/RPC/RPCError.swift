// SPDX-License-Identifier: Apache-2.0

/// An error as it travels on the socket: a number, a stable kind for programs, a sentence for people.
package struct RPCError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What went wrong, as programs see it.
    package var kind: Kind
    /// The thing, the rule and what happened.
    package var message: String
    /// The remedy, if there is one.
    package var hint: String?
    /// The request's member that is wrong, such as `spec.gate`.
    package var field: String?
    /// When to try again, milliseconds.
    package var retryAfter: Int?

    /// An error from its parts.
    package init(
        _ kind: Kind, _ message: String, hint: String? = nil, field: String? = nil, retryAfter: Int? = nil
    ) {
        self.kind = kind
        self.message = message
        self.hint = hint
        self.field = field
        self.retryAfter = retryAfter
    }

    package var description: String { hint.map { "\(message); \($0)" } ?? message }

    /// The kinds of error; each has one number and one exit status of the client.
    package enum Kind: String, Codable, Sendable, CaseIterable {
        case parseError = "parse_error"
        case invalidRequest = "invalid_request"
        case methodNotFound = "method_not_found"
        case invalidParams = "invalid_params"
        case `internal` = "internal"
        case requestCancelled = "request_cancelled"
        case notInitialized = "not_initialized"
        case lineTooLong = "line_too_long"
        case tooManyInflight = "too_many_inflight"
        case queueFull = "queue_full"
        case rateLimited = "rate_limited"
        case shuttingDown = "shutting_down"
        case notFound = "not_found"
        case gone = "gone"
        case conflict = "conflict"
        case preconditionFailed = "precondition_failed"
        case permissionDenied = "permission_denied"
        case unsupportedProtocol = "unsupported_protocol"
        case insufficientMemory = "insufficient_memory"
        case storageFull = "storage_full"
        case integrity = "integrity"
        case badInput = "bad_input"

        /// The JSON-RPC error number.
        package var code: Int {
            switch self {
            case .parseError: -32700
            case .invalidRequest: -32600
            case .methodNotFound: -32601
            case .invalidParams: -32602
            case .internal: -32603
            case .requestCancelled: -32800
            case .notInitialized: -32002
            case .lineTooLong: -32010
            case .tooManyInflight: -32011
            case .queueFull: -32012
            case .rateLimited: -32013
            case .shuttingDown: -32014
            case .notFound: -32020
            case .gone: -32021
            case .conflict: -32022
            case .preconditionFailed: -32023
            case .permissionDenied: -32030
            case .unsupportedProtocol: -32031
            case .insufficientMemory: -32040
            case .storageFull: -32041
            case .integrity: -32042
            case .badInput: -32043
            }
        }

        /// Whether the same request may succeed later.
        package var isRetryable: Bool {
            switch self {
            case .tooManyInflight, .queueFull, .rateLimited, .shuttingDown: true
            default: false
            }
        }

        /// The exit status with which `unlearnctl` reports it.
        package var exitCode: ExitCode {
            switch self {
            case .parseError, .invalidRequest, .methodNotFound, .notInitialized, .lineTooLong,
                .unsupportedProtocol:
                .protocolMismatch
            case .invalidParams: .usage
            case .internal: .internalError
            case .requestCancelled: .detached
            case .tooManyInflight, .queueFull, .rateLimited, .shuttingDown: .tryAgain
            case .notFound, .gone: .notFound
            case .conflict, .preconditionFailed, .insufficientMemory: .conflict
            case .permissionDenied: .notPermitted
            case .storageFull, .integrity: .storage
            case .badInput: .badInput
            }
        }
    }
}

extension RPCError: Codable {
    private enum CodingKeys: String, CodingKey { case code, message, data }
    private enum DataKeys: String, CodingKey {
        case kind, hint, field, retryable
        case retryAfter = "retry_after_ms"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        message = try container.decode(String.self, forKey: .message)
        let code = try container.decode(Int.self, forKey: .code)
        let data = try? container.nestedContainer(keyedBy: DataKeys.self, forKey: .data)
        let named = try data?.decodeIfPresent(String.self, forKey: .kind).flatMap(Kind.init(rawValue:))
        kind = named ?? Kind.allCases.first { $0.code == code } ?? .internal
        hint = try data?.decodeIfPresent(String.self, forKey: .hint)
        field = try data?.decodeIfPresent(String.self, forKey: .field)
        retryAfter = try data?.decodeIfPresent(Int.self, forKey: .retryAfter)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kind.code, forKey: .code)
        try container.encode(message, forKey: .message)
        var data = container.nestedContainer(keyedBy: DataKeys.self, forKey: .data)
        try data.encode(kind, forKey: .kind)
        try data.encode(kind.isRetryable, forKey: .retryable)
        try data.encodeIfPresent(hint, forKey: .hint)
        try data.encodeIfPresent(field, forKey: .field)
        try data.encodeIfPresent(retryAfter, forKey: .retryAfter)
    }
}
