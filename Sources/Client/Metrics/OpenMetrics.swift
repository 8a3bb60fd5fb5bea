// SPDX-License-Identifier: Apache-2.0

import Protocol

/// A set of metrics in OpenMetrics text (openmetrics.io, version 1.0): gauges and one info family.
package struct OpenMetrics {
    private var lines: [String] = []

    /// An info family: facts that are no numbers.
    package mutating func info(_ name: String, _ help: String, _ labels: [(name: String, value: String)]) {
        describe(name, "info", help, unit: nil)
        sample("\(name)_info", labels, "1")
    }

    /// A gauge without labels.
    ///
    /// - Parameter unit: Its unit, with which the name has to end.
    package mutating func gauge(_ name: String, _ help: String, unit: String? = nil, _ value: some Numeric) {
        describe(name, "gauge", help, unit: unit)
        sample(name, [], "\(value)")
    }

    /// A gauge with one label and a sample for each of its values.
    package mutating func gauge(
        _ name: String, _ help: String, by label: String, _ values: [(value: String, count: Int)]
    ) {
        describe(name, "gauge", help, unit: nil)
        for (value, count) in values { sample(name, [(label, value)], "\(count)") }
    }

    /// The text, with the mark of its end.
    package var text: String { lines.joined(separator: "\n") + "\n# EOF\n" }

    private mutating func describe(_ name: String, _ type: String, _ help: String, unit: String?) {
        lines.append("# TYPE \(name) \(type)")
        if let unit { lines.append("# UNIT \(name) \(unit)") }
        lines.append("# HELP \(name) \(Self.escaped(help))")
    }

    private mutating func sample(_ name: String, _ labels: [(name: String, value: String)], _ value: String) {
        let text = labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",")
        lines.append(text.isEmpty ? "\(name) \(value)" : "\(name){\(text)} \(value)")
    }

    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }
}

extension OpenMetrics {
    /// What the daemon tells of itself, its queue and its store.
    package init(_ info: SystemInfo, _ queue: QueueStatus, _ store: StoreStatus) {
        self.init()
        self.info(
            "unlearnd", "What the daemon is.",
            [("version", info.version), ("protocol", "\(info.protocol)"), ("instance", info.instance)])
        gauge(
            "unlearnd_start_time_seconds", "When the daemon started, in Unix time.", unit: "seconds",
            Double(info.started.milliseconds) / 1000)
        gauge("unlearnd_threads", "Threads that a worker computes with.", info.threads)
        gauge("unlearnd_memory_bytes", "Physical memory.", unit: "bytes", info.memoryTotal)
        gauge(
            "unlearnd_memory_limit_bytes", "What running jobs may use together.", unit: "bytes",
            info.memoryLimit)
        gauge(
            "unlearnd_jobs", "Jobs that have not ended, by state.", by: "state",
            JobState.allCases.filter { !$0.isTerminal }.map { ($0.rawValue, queue.jobs[$0.rawValue] ?? 0) })
        gauge("unlearnd_queue_paused", "1 while no queued job is started.", queue.paused ? 1 : 0)
        gauge("unlearnd_models", "Models.", store.models)
        gauge("unlearnd_versions", "Versions whose bytes are there.", store.versions)
        gauge("unlearnd_datasets", "Datasets.", store.datasets)
        gauge("unlearnd_store_objects", "Distinct objects in use.", store.objects)
        gauge(
            "unlearnd_store_raw_bytes", "Bytes of all versions, equal chunks once.", unit: "bytes",
            store.rawBytes)
        gauge(
            "unlearnd_store_stored_bytes", "Bytes of their objects on disk.", unit: "bytes", store.storedBytes
        )
        gauge("unlearnd_store_garbage_objects", "Objects that nothing uses.", store.garbageObjects)
        gauge("unlearnd_store_garbage_bytes", "Their bytes on disk.", unit: "bytes", store.garbageBytes)
        gauge("unlearnd_store_free_bytes", "Free bytes of the file system.", unit: "bytes", store.freeBytes)
        gauge("unlearnd_training_bytes", "Bytes of training checkpoints.", unit: "bytes", store.trainingBytes)
    }
}
