// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Protocol

/// Keeps publish targets at the heads that they follow. The worker writes the bytes, as for an export; here is what
/// comes before and after.
///
/// Order: row, files (durable), name (durable), link (durable), row, hook, removal of what is no longer wanted. Whatever
/// dies in between, the link names a whole copy, and what is there beside it is written down.
struct Publisher: Sendable {
    /// A copy that a job works on.
    struct Work: Sendable {
        var target: PublishTarget
        var copy: PublicationCopyRow
        /// What the worker writes to; `nil` when the copy is whole already.
        var files: DescriptorSet?
    }

    var targets: [String: PublishTarget]
    /// The store's name.
    var store: String
    var objects: ObjectStore
    var database: StateDatabase
    var sharedRows: SharedRows

    /// The most files of a copy: as many as a transfer has.
    private static let mostFiles = TransferTable.Limits().files

    // MARK: One job

    /// Makes the files that the worker is to fill.
    /// - Throws: ``JobFailure``.
    func prepare(_ claim: Claim) async throws -> Work {
        guard let name = claim.spec.parameters?.target, let base = claim.order.base else {
            throw JobFailure(.internal, "the job names no target or has no version")
        }
        let target = try target(name)
        let (publication, known) = try await database.read { db in
            (try PublicationRow.find(name, db), try PublicationCopyRow.all(at: name, db))
        }
        guard publication?.model == base.model, publication?.isEnding == false else {
            throw JobFailure(
                .missing, "\(base.model) is no longer published to \(name)",
                hint: "unlearnctl model publish \(base.model) \(name)")
        }
        let manifest = try objects.manifest(base.manifest)
        guard manifest.files.count <= Self.mostFiles else {
            throw JobFailure(
                .unsupported,
                "the version has \(manifest.files.count) files; at most \(Self.mostFiles) are published")
        }
        let files = manifest.files.map { TargetDirectory.File(path: $0.path, size: Int64($0.size)) }
        var copy = PublicationCopyRow(target: name, version: base, files: files)
        let earlier = known.first { $0.name == copy.name }
        let directory = try await open(target)
        if earlier?.state == .whole, directory.isWhole(copy.name, files) {
            copy.state = .whole
            return Work(target: target, copy: copy)
        }
        let begun = copy
        try await database.change { try begun.save(in: $0) }
        // What is left of an earlier try, or of a copy that was removed or damaged.
        if let earlier {
            if try directory.shown() == copy.name { try directory.hide() }
            try await remove(earlier, directory)
            try await database.change { try begun.save(in: $0) }
        }
        return Work(
            target: target, copy: copy, files: try await offloading { try directory.begin(begun.name, files) }
        )
    }

    /// Takes back what a job that did not come to its end has made.
    func discard(_ work: Work) async {
        guard work.copy.state == .writing else { return }
        do {
            let known = try await database.read { try PublicationCopyRow.all(at: work.target.name, $0) }
            guard known.contains(where: { $0.name == work.copy.name && $0.state == .writing }) else { return }
            let directory = try await open(work.target)
            guard !directory.isSealed(work.copy.name) else { return }
            try await remove(work.copy, directory)
        } catch {
            // The next job for the target, or the next start, does it.
        }
    }

    /// Switches to the copy that is whole now.
    ///
    /// - Parameter report: Gets what is worth knowing and stops nothing.
    /// - Returns: What the job gives back.
    func finish(_ claim: Claim, _ work: Work, report: @Sendable (String) async -> Void) async throws
        -> JSONValue
    {
        let (target, name) = (work.target, work.copy.name)
        let known = try await database.read { try PublicationCopyRow.all(at: target.name, $0) }
        let directory = try await open(target)
        var copy = work.copy
        if copy.state == .writing {
            let files = copy.files
            try await offloading { try directory.seal(name, files) }
            FailPoint.afterSeal.reach()
            copy.state = .whole
            let whole = copy
            try await database.change { try whole.save(in: $0) }
        }
        let before = try await offloading {
            let before = try directory.shown()
            try directory.show(name)
            return before
        }
        FailPoint.afterSwitch.reach()
        let from = known.first { $0.name == before }?.version
        let shown = copy
        try await database.change { change in
            try PublicationRow.show(shown, at: target.name, in: change)
            let data: JSONValue = [
                "target": .string(target.name), "version": .string(shown.version.description),
                "digest": .string(shown.digest.hex), "from": from.map { .string($0.description) } ?? .null,
            ]
            try change.record(.published, job: claim.id, model: shown.model, data)
            var body = data.objectValue ?? JSONObject()
            body["job"] = .integer(Int64(claim.id))
            body["model"] = .string(shown.model.text)
            try change.audit("version.publish", actor: claim.submitter, .object(body))
        }
        FailPoint.afterPublishRecord.reach()
        let fault = await target.hook?.run([
            "UNLEARN_MODEL": copy.model.text, "UNLEARN_VERSION": copy.version.description,
            "UNLEARN_DIRECTORY": "\(target.directory)/versions/\(name)",
        ]).map { "the hook \($0)" }
        if let fault {
            try await database.change { try PublicationRow.set(hookFault: fault, at: target.name, in: $0) }
            await report("\(fault); \(target.name) shows \(copy.reference) all the same")
        }
        let kept = before == name ? nil : before
        for old in known where old.name != name {
            if old.name == kept, old.state == .whole, try await !hasLostRight(old) { continue }
            // A switch to what is shown already leaves the one before it alone.
            if kept == nil, old.state == .whole, try await !hasLostRight(old) { continue }
            do { try await remove(old, directory) } catch let failure as JobFailure {
                await report(failure.message)
            }
        }
        return [
            "target": .string(target.name), "version": .string(copy.version.description),
            "digest": .string(copy.digest.hex), "from": from.map { .string($0.description) } ?? .null,
            "directory": .string("\(target.directory)/versions/\(name)"),
            "hook": target.hook == nil ? .null : .bool(fault == nil),
        ]
    }

    /// Whether a copy must not be served any more: its version is gone, was withdrawn by a rollback, or still knows what
    /// the head was made to forget.
    private func hasLostRight(_ copy: PublicationCopyRow) async throws -> Bool {
        let shares = try await sharedRows.shares(ofRequestsTo: copy.model, database)
        return try await database.read { db in
            guard let row = try VersionRow.find(copy.model, copy.version, db), !row.isGone,
                let model = try ModelRow.find(copy.model, db)
            else { return true }
            if model.head == copy.version { return false }
            if try ModelRow.wasUndone(copy.version, of: copy.model, db) { return true }
            var before: VersionNumber?
            repeat {
                let page = try ControlPlane.requests(of: model, before: before, shares, db)
                if page.requests.contains(where: { $0.knownBy.contains(copy.version) }) { return true }
                before = page.next
            } while before != nil
            return false
        }
    }

    // MARK: Beside jobs

    /// Removes a target's copies of these versions, the link first where it names one of them.
    /// - Returns: The copies that went.
    func remove(_ copies: [PublicationCopyRow], from name: String) async throws -> [String] {
        let target = try target(name)
        let known = try await database.read { try PublicationCopyRow.all(at: name, $0) }
        let directory = try await open(target)
        var removed: [String] = []
        for copy in known where copies.contains(where: { $0.name == copy.name }) {
            if try directory.shown() == copy.name {
                try directory.hide()
                try await database.change { change in
                    try PublicationRow.show(nil, at: name, in: change)
                    try change.record(
                        .published, model: copy.model,
                        [
                            "target": .string(name), "version": .null, "digest": .null,
                            "from": .string(copy.version.description),
                        ])
                }
            }
            try await remove(copy, directory)
            removed.append(copy.name)
        }
        return removed
    }

    /// Gives an empty directory back.
    func release(_ name: String) async throws {
        let target = try target(name)
        try await open(target).release()
    }

    /// Puts right what a daemon that died has left in a target.
    /// - Returns: The version that is shown; `nil` when none is.
    func repair(_ row: PublicationRow) async throws -> VersionNumber? {
        let target = try target(row.target)
        let known = try await database.read { try PublicationCopyRow.all(at: row.target, $0) }
        let directory = try await open(target)
        for copy in known where copy.state != .whole {
            // It got its name when it was whole.
            if copy.state == .writing, directory.isSealed(copy.name) {
                var whole = copy
                whole.state = .whole
                let saved = whole
                try await database.change { try saved.save(in: $0) }
            } else {
                if try directory.shown() == copy.name { try directory.hide() }
                try await remove(copy, directory)
            }
        }
        let shown = try directory.shown()
        return known.first { $0.name == shown && directory.isWhole($0.name, $0.files) }?.version
    }

    private func target(_ name: String) throws(JobFailure) -> PublishTarget {
        guard let target = targets[name] else {
            throw JobFailure(
                .target, "the configuration has no publish target \(name)",
                hint:
                    "name it under publish_targets, or end this with: unlearnctl model publish MODEL \(name) --off"
            )
        }
        return target
    }

    /// Opens a target's directory. A job and a purge may work beside each other in one: what was made after the rows
    /// were read is looked up once more before it is held to be foreign.
    private func open(_ target: PublishTarget) async throws -> TargetDirectory {
        let store = store
        var tries = 0
        while true {
            let names = Set(
                try await database.read { try PublicationCopyRow.all(at: target.name, $0) }.map(\.name))
            do {
                return try await offloading { try TargetDirectory(target, store: store, known: names) }
            } catch let failure as JobFailure where failure.kind == .target && tries < 2 {
                tries += 1
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    private func remove(_ copy: PublicationCopyRow, _ directory: TargetDirectory) async throws {
        var leaving = copy
        leaving.state = .leaving
        let row = leaving
        try await database.change { try row.save(in: $0) }
        try await offloading { try directory.remove(row.name, row.files) }
        try await database.change { try row.delete(in: $0) }
    }
}
