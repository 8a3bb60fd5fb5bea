// SPDX-License-Identifier: Apache-2.0

import CLinux

/// Standard input, output and error of this process.
package enum StandardDescriptors {
    /// Keeps the numbers of those that are closed from being given to a socket or a file, which would then get what is
    /// meant for the user. Called first: reading and writing them fails as before.
    package static func hold() { cl_hold_standard_descriptors() }
}
