// SPDX-License-Identifier: Apache-2.0

/// An earlier request that a worker measures again, and how its own job did.
package struct EarlierCheck: Codable, Hashable, Sendable {
    package var request: EarlierRequest
    /// The parameters of the request's job: how its rows become tokens, and what accuracy counts.
    package var parameters: JobParameters?

    /// A request to measure as with `parameters`.
    package init(request: EarlierRequest, parameters: JobParameters?) {
        self.request = request
        self.parameters = parameters
    }
}
