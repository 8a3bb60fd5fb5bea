// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Open files that a job reads or writes; closed when nobody holds the set any more.
final class DescriptorSet: Sendable {
    /// Relative paths, in the order of `descriptors`.
    let files: [String]
    let descriptors: [Int32]

    /// Takes over the descriptors.
    init(files: [String], descriptors: [Int32]) {
        self.files = files
        self.descriptors = descriptors
    }

    deinit { for descriptor in descriptors { close(descriptor) } }

    /// The files' sizes together, bytes.
    var size: Int64 {
        descriptors.reduce(0) { sum, descriptor in
            var status = stat()
            return fstat(descriptor, &status) == 0 ? sum + Int64(status.st_size) : sum
        }
    }
}
