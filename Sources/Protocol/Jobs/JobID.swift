// SPDX-License-Identifier: Apache-2.0

/// The number of a job in its daemon; counts up from 1 and is never reused.
package typealias JobID = Int
