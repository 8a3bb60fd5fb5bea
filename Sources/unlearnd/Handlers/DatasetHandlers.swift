// SPDX-License-Identifier: Apache-2.0

import Protocol

extension Router {
    /// `dataset.*` and `blob.*`.
    mutating func addDatasetHandlers(_ control: ControlPlane, _ blobs: BlobSpool) {
        on(.datasetList) { (params: DatasetListParams, _) async throws(RPCError) in
            try await control.datasets(params)
        }
        on(.datasetShow) { (params: DatasetParams, _) async throws(RPCError) in
            try await control.dataset(params.dataset)
        }
        on(.datasetPurge) { (params: PurgeDatasetParams, session) async throws(RPCError) in
            try await control.purge(params, peer: session.peer)
        }
        on(.blobBegin) { (params: BlobBeginParams, session) async throws(RPCError) in
            if let stored = try await control.dataset(id: params.sha256) {
                return BlobBeginResult(blob: nil, offset: stored.bytes, dataset: stored.dataset)
            }
            return try await blobs.begin(params, uid: session.peer.uid)
        }
        on(.blobChunk) { (params: BlobChunkParams, session) async throws(RPCError) in
            try await blobs.append(params, uid: session.peer.uid)
        }
        on(.blobCommit) { (params: BlobCommitParams, session) async throws(RPCError) in
            let bytes = try await blobs.finish(params.blob, uid: session.peer.uid)
            return try await control.putDataset(bytes, name: params.name, peer: session.peer)
        }
    }
}
