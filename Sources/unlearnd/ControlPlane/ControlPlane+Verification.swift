// SPDX-License-Identifier: Apache-2.0

import Logging
import Protocol

extension ControlPlane {
    /// Has the store read, if the configuration says so and the time has come.
    package func verifyRegularly() async {
        let schedule = configuration.verification
        guard schedule.everyHours != nil else { return }
        do {
            guard let job = try await database.change({ try schedule.request(in: $0) }) else { return }
            logger.info("job \(job) verifies the store: it is due")
            await scheduler.wake()
        } catch {
            logger.warning("the store's verification cannot be queued: \(error)")
        }
    }

    /// What is known of the store's soundness.
    func verification() async throws -> StoreVerification {
        let schedule = configuration.verification
        let record = try await database.read { try VerificationRecord.read($0) }
        return StoreVerification(
            last: record.last, whole: record.whole, damage: record.damage, unfinished: record.unfinished,
            everyHours: schedule.everyHours, next: schedule.next(after: record, now: .now))
    }
}
