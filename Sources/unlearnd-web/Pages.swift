// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// What is served under each path. Every page asks the daemon anew, over a connection of its own: nothing is kept, and
/// nothing is changed.
struct Pages: Sendable {
    let socket: String
    /// Seconds that the daemon has for each answer.
    private let patience = 10.0

    /// The page of a path without its query; blocks until the daemon has answered.
    func page(_ path: String) -> Page {
        do {
            let parts = path.split(separator: "/", omittingEmptySubsequences: true)
            switch parts.first {
            case nil: return .html(try overview(), refresh: 10)
            case "healthz" where parts.count == 1: return try health()
            case "metrics" where parts.count == 1: return try metrics()
            case "jobs" where parts.count == 2:
                guard let id = JobID(parts[1]) else { break }
                return .html(try report(id))
            case "models" where parts.count == 2:
                guard let name = ModelName(String(parts[1])) else { break }
                return .html(try model(name))
            default: break
            }
            return .plain(404, "there is no such page; / has links to all")
        } catch { return .failure(error) }
    }

    private func connect() throws(ClientError) -> Connection {
        try Connection(path: socket, program: "unlearnd-web")
    }

    private var deadline: Deadline { Deadline(in: patience) }

    private func health() throws(ClientError) -> Page {
        try connect().call(.systemPing, deadline: deadline)
        return .plain(200, "ok")
    }

    private func metrics() throws(ClientError) -> Page {
        let connection = try connect()
        let metrics = OpenMetrics(
            try connection.call(.systemInfo, as: SystemInfo.self, deadline: deadline),
            try connection.call(.queueStatus, as: QueueStatus.self, deadline: deadline),
            try connection.call(.storeStatus, as: StoreStatus.self, deadline: deadline))
        return Page(
            status: 200, type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
            body: metrics.text)
    }

    private func report(_ id: JobID) throws(ClientError) -> ReportDocument {
        let source = try ReportSource(id, connect(), deadline: deadline)
        return ReportBuilder(source: source.withoutTexts).document
    }

    private func model(_ name: ModelName) throws(ClientError) -> ReportDocument {
        let versions = try connect().call(
            .modelHistory, ModelHistoryParams(model: name), as: [VersionSummary].self, deadline: deadline)
        let isWhole = versions.first.map { $0.version.number == 1 } ?? true
        var document = ReportDocument(
            title: "Model \(name)",
            subtitle: (isWhole ? "" : "the newest ") + Text.count(versions.count, "version")
                + ", as of \(Timestamp.now)")
        var table = ReportTable(
            "A version leads to the report on the job that made it.", VersionCells.headings, numbers: [4],
            codes: [5])
        for (index, version) in versions.enumerated() {
            table.rows.append(VersionCells.cells(version))
            if let job = version.job { table.addresses[index] = "/jobs/\(job)" }
        }
        document.add("versions", "Versions", [.table(table)])
        return document
    }

    private func overview() throws(ClientError) -> ReportDocument {
        let connection = try connect()
        let info = try connection.call(.systemInfo, as: SystemInfo.self, deadline: deadline)
        let queue = try connection.call(.queueStatus, as: QueueStatus.self, deadline: deadline)
        let store = try connection.call(.storeStatus, as: StoreStatus.self, deadline: deadline)
        let models = try connection.call(.modelList, as: [ModelSummary].self, deadline: deadline)
        let jobs = try connection.call(.jobList, JobListParams(limit: 50), as: [Job].self, deadline: deadline)
        var document = ReportDocument(
            title: "unlearnd",
            subtitle: "version \(info.version), up since \(info.started), as of \(Timestamp.now)")
        let waiting = queue.jobs.sorted { $0.key < $1.key }.filter { $0.value > 0 }
            .map { "\($0.value) \($0.key)" }
        document.add(
            "queue", "Queue",
            [
                .verdict(
                    queue.paused ? .open : .good,
                    queue.paused ? "The queue is paused: no queued job is started." : "The queue is served."),
                .paragraph(waiting.isEmpty ? "No job waits or runs." : waiting.joined(separator: ", ") + "."),
            ])
        document.add(
            "jobs", "Jobs", jobs.isEmpty ? [.note("There are none yet.")] : [.table(Self.table(jobs))])
        document.add(
            "models", "Models",
            (models.isEmpty ? [.note("There are none yet.")] : [.table(Self.table(models))])
                + (models.count < ModelPage.most
                    ? [] : [.note("These are the first \(models.count) of \(store.models) by name.")])
        )
        document.add(
            "store", "Store",
            [
                .facts([
                    ("versions", "\(store.versions) of \(Text.count(store.models, "model"))"),
                    ("bytes", "\(Text.bytes(store.rawBytes)) in \(Text.bytes(store.storedBytes)) on disk"),
                    (
                        "unused",
                        "\(Text.bytes(store.garbageBytes)) in \(Text.count(store.garbageObjects, "object"))"
                    ),
                    ("free on disk", Text.bytes(store.freeBytes)),
                    ("training checkpoints", Text.bytes(store.trainingBytes)),
                    ("memory for jobs", "\(Text.bytes(info.memoryLimit)) of \(Text.bytes(info.memoryTotal))"),
                ])
            ])
        return document
    }

    private static func table(_ jobs: [Job]) -> ReportTable {
        var table = ReportTable("The newest jobs; a number leads to the job's report.", JobCells.headings)
        for (index, job) in jobs.enumerated() {
            table.rows.append(JobCells.cells(job))
            table.addresses[index] = "/jobs/\(job.id)"
        }
        return table
    }

    private static func table(_ models: [ModelSummary]) -> ReportTable {
        var table = ReportTable(
            "A name leads to the model's versions.", ModelCells.headings, numbers: [2, 3, 4])
        for (index, model) in models.enumerated() {
            table.rows.append(ModelCells.cells(model))
            table.addresses[index] = "/models/\(model.model)"
        }
        return table
    }
}
