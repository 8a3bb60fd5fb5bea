// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol

/// What a key stands for: the same key with the same body names the same job.
enum IdempotencyKey {
    /// SHA-256 of the specification's canonical JSON, without the transfer, which is another one each time.
    static func hash(_ spec: JobSpec) throws -> String {
        var body = spec
        body.parameters?.transfer = nil
        return ContentHash.of(try JSONValue(encoding: body).serialized(sortedKeys: true)).hex
    }
}
