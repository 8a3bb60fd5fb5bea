// SPDX-License-Identifier: Apache-2.0

import Protocol

extension Manifest {
    /// Most regions that a manifest may list.
    static let mostRegions = 2_000_000
    private static let attachmentsFlag = "attachments"

    /// The canonical bytes that are stored.
    package func serialized() -> [UInt8] {
        var root = JSONObject()
        root["schema"] = 1
        // Names of features that a reader must know.
        root["flags"] = .array(attachments.isEmpty ? [] : [.string(Self.attachmentsFlag)])
        root["parent"] = parent.map { .string($0.hex) } ?? .null
        root["provenance"] = .object(provenance)
        root["files"] = .array(files.map(Self.json))
        if !attachments.isEmpty { root["attachments"] = .array(attachments.map(Self.json)) }
        root["tensors"] = .array(
            tensors.map { tensor in
                [
                    "name": .string(tensor.name), "dtype": .string(tensor.dtype.rawValue),
                    "shape": .array(tensor.shape.map { .integer(Int64($0)) }),
                    "file": .integer(Int64(tensor.file)),
                    "offset": .integer(Int64(tensor.offset)), "bytes": .integer(Int64(tensor.size)),
                    "first_region": .integer(Int64(tensor.firstRegion)),
                    "regions": .integer(Int64(tensor.regionCount)),
                ]
            })
        return JSONValue.object(root).serialized(sortedKeys: true)
    }

    private static func json(_ file: File) -> JSONValue {
        [
            "path": .string(file.path), "mode": .integer(Int64(file.mode)),
            "size": .integer(Int64(file.size)), "sha256": .string(file.sha256.hex),
            "planner": .string(file.planner), "regions": .array(file.regions.map(Self.json)),
        ]
    }

    static func json(_ region: Region) -> JSONValue {
        ["o": .string(region.id.hex), "n": .integer(Int64(region.size))]
    }

    /// Reads a manifest and checks that it is whole: paths, sizes, regions and tensors agree.
    /// - Throws: ``CheckpointError``: `.newerFormat`, or `.corrupt` with the rule that is broken.
    package init(serialized bytes: [UInt8]) throws(CheckpointError) {
        let value: JSONValue
        do throws(StrictJSON.Failure) {
            value = try StrictJSON.parse(bytes, limits: Self.limits)
        } catch {
            throw Self.broken("is not strict JSON: \(error)")
        }
        guard case .object(let members) = value else { throw Self.broken("is no object") }
        try Self.checkFormat(members)
        guard case .object(let provenance)? = value["provenance"], let files = value["files"]?.arrayValue,
            let tensors = value["tensors"]?.arrayValue
        else { throw Self.broken("lacks a member") }
        var parent: Digest?
        if let hex = value["parent"]?.stringValue {
            parent = Digest(hex: hex)
            if parent == nil { throw Self.broken("has a parent that is no digest") }
        }
        self.init(files: [], tensors: [], provenance: provenance, parent: parent)
        var left = Self.mostRegions
        for element in files { self.files.append(try Self.file(element, &left)) }
        for element in value["attachments"]?.arrayValue ?? [] {
            attachments.append(try Self.file(element, &left))
        }
        for files in [self.files, attachments] {
            for (a, b) in zip(files, files.dropFirst()) {
                guard a.path.utf8.lexicographicallyPrecedes(b.path.utf8) else {
                    throw Self.broken("lists \(quoted(b.path)) twice or out of order")
                }
            }
        }
        let starts = self.files.map(Self.starts)
        var names: Set<String> = []
        self.tensors.reserveCapacity(tensors.count)
        for element in tensors {
            let tensor = try Self.tensor(element, starts)
            guard names.insert(tensor.name).inserted else {
                throw Self.broken("lists tensor \(quoted(tensor.name)) twice")
            }
            self.tensors.append(tensor)
        }
        guard serialized() == bytes else { throw Self.broken("is not in canonical form") }
    }

    /// How much structure a manifest may have.
    static let limits = StrictJSON.Limits(depth: 64, values: 32_000_000)

    /// Refuses what a later version wrote.
    /// - Throws: ``CheckpointError`` `.newerFormat`.
    static func checkFormat(_ members: JSONObject) throws(CheckpointError) {
        guard members["schema"]?.integerValue == 1, let flags = members["flags"]?.arrayValue,
            flags.allSatisfy({ $0.stringValue == attachmentsFlag })
        else {
            throw CheckpointError(
                .newerFormat, "a manifest has a schema or features that this version does not know",
                hint: "use the version that wrote it")
        }
    }

    static func region(_ value: JSONValue) throws(CheckpointError) -> Region {
        guard let hex = value["o"]?.stringValue, let id = Digest(hex: hex),
            let size = value["n"]?.integerValue,
            (1...Int64(ChunkPlan.grid)).contains(size)
        else { throw broken("has a region without an object or of an impossible size") }
        return Region(id: id, size: Int(size))
    }

    private static func file(_ value: JSONValue, _ left: inout Int) throws(CheckpointError) -> File {
        guard let path = value["path"]?.stringValue, let mode = value["mode"]?.integerValue,
            let size = value["size"]?.integerValue, size >= 0, let planner = value["planner"]?.stringValue,
            let sha256 = value["sha256"]?.stringValue.flatMap({ Digest(hex: $0) }),
            let regions = value["regions"]?.arrayValue
        else { throw broken("has a file that lacks a member") }
        do throws(CheckpointError) {
            try CheckpointDirectory.checkPath(path)
        } catch {
            throw broken("has a file with a wrong path: \(error.message)")
        }
        guard mode >= 0, mode & ~0o666 == 0 else { throw broken("gives \(quoted(path)) a wrong mode") }
        left -= regions.count
        guard left >= 0 else { throw broken("lists more than \(mostRegions) regions") }
        var file = File(
            path: path, mode: UInt32(mode), size: Int(size), sha256: sha256, planner: planner, regions: [])
        file.regions.reserveCapacity(regions.count)
        var total = 0
        for element in regions {
            let region = try region(element)
            total += region.size
            file.regions.append(region)
        }
        guard total == file.size else {
            throw broken("cuts \(quoted(path)) into regions of another size in all")
        }
        return file
    }

    private static func tensor(_ value: JSONValue, _ starts: [[Int]]) throws(CheckpointError) -> Tensor {
        func number(_ key: String) throws(CheckpointError) -> Int {
            guard let number = value[key]?.integerValue, (0...(1 << 48)).contains(number) else {
                throw broken("has a tensor whose \(key) is no plain number")
            }
            return Int(number)
        }
        guard let name = value["name"]?.stringValue,
            let dtype = value["dtype"]?.stringValue.flatMap(DType.init),
            let shape = value["shape"]?.arrayValue
        else { throw broken("has a tensor that lacks a member") }
        var dimensions: [Int] = []
        var bits = dtype.bits
        var empty = false
        for element in shape {
            guard let dimension = element.integerValue, (0...(1 << 48)).contains(dimension) else {
                throw broken("gives tensor \(quoted(name)) a wrong shape")
            }
            dimensions.append(Int(dimension))
            if dimension == 0 { empty = true }
            let (product, overflow) = bits.multipliedReportingOverflow(by: max(1, Int(dimension)))
            if overflow { throw broken("gives tensor \(quoted(name)) a shape that overflows") }
            bits = product
        }
        let tensor = Tensor(
            name: name, dtype: dtype, shape: dimensions, file: try number("file"),
            offset: try number("offset"),
            size: try number("bytes"), firstRegion: try number("first_region"),
            regionCount: try number("regions"))
        guard tensor.size * 8 == (empty ? 0 : bits) else {
            throw broken("gives tensor \(quoted(name)) a size that does not fit its shape")
        }
        guard tensor.file < starts.count, let end = starts[tensor.file].last,
            tensor.offset + tensor.size <= end,
            (tensor.firstRegion, tensor.regionCount) == span(tensor.offset, tensor.size, starts[tensor.file])
        else { throw broken("puts tensor \(quoted(name)) where its file has no such bytes") }
        return tensor
    }

    static func broken(_ rule: String) -> CheckpointError {
        CheckpointError(.corrupt, "a manifest \(rule)", hint: "run a full store verification")
    }
}

extension ObjectStore {
    /// Reads and checks a manifest.
    /// - Throws: ``CheckpointError``: `.missing`, `.corrupt`, `.newerFormat`, `.ioFailure`.
    package func manifest(_ id: Digest) throws -> Manifest { try Manifest(serialized: try get(id)) }
}
