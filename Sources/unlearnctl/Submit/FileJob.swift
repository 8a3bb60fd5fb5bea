// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// One job of a file.
struct FileJob {
    /// A job of the file that must end first.
    struct Earlier {
        var name: String
        var condition: DependencyCondition
    }

    /// What other jobs of the file call it.
    let name: String?
    /// Where it stands.
    let place: JobPlace
    /// All but its datasets and the jobs of the file that it waits for.
    let spec: JobSpec
    /// Its datasets.
    let sets: BenchmarkPreset.Data
    /// The jobs of the file that it waits for.
    let after: [Earlier]

    /// What messages call it.
    var title: String { name ?? "\(place)" }

    /// Reads a job and its datasets' files.
    ///
    /// - Parameters:
    ///   - folder: Where its datasets are.
    ///   - kind: What it is if it does not say so.
    ///   - earlier: The names that stand before it.
    /// - Throws: ``ClientError`` with status 65 that names the line.
    init(
        _ value: JSONValue, _ place: JobPlace, folder: DatasetFolder, kind: JobKind?, earlier: Set<String>
    ) throws(ClientError) {
        guard case .object(var object) = value else {
            throw ClientError(
                .badInput, "\(place): holds \(value.kindName), not a job",
                hint: "write its members, such as kind: and model:")
        }
        name = try Self.takeName(&object, place, earlier)
        self.place = place
        after = try Self.takeNames(&object, place, earlier)
        if object["kind"] == nil, let kind { object["kind"] = .string(kind.rawValue) }
        var sets = BenchmarkPreset.Data()
        sets.forget = try Self.takeSet("forget", &object, place, folder)
        sets.retain = try Self.takeSet("retain", &object, place, folder)
        sets.holdout = try Self.takeSet("holdout", &object, place, folder)
        let utility = try Self.takeUtility(&object, place, folder)
        var spec: JobSpec
        do { spec = try JSONValue.object(object).decode(JobSpec.self) } catch {
            throw ClientError(
                .badInput, "\(place.at(error.field)): \(error)",
                hint: "see the members of a job: unlearnctl show JOB --json")
        }
        for (set, data) in zip(spec.utility ?? [], utility) {
            sets.utility.append(
                .init(
                    name: set.name, data: data, role: set.role, maxNewTokens: set.maxNewTokens,
                    stops: set.stops))
        }
        spec.utility = nil
        self.spec = spec
        self.sets = sets
    }

    private static func takeName(
        _ object: inout JSONObject, _ place: JobPlace, _ earlier: Set<String>
    ) throws(ClientError) -> String? {
        guard let value = object["name"] else { return nil }
        object["name"] = nil
        guard let name = value.stringValue, isName(name) else {
            throw ClientError(
                .badInput, "\(place.at("name")): \(value.serializedString().prefix(80)) is no name for a job",
                hint: "use 1 to 64 letters, digits, “-”, “_” and “.”, and begin with a letter")
        }
        guard !earlier.contains(name) else {
            throw ClientError(
                .badInput, "\(place.at("name")): “\(name)” names an earlier job too",
                hint: "give each its own name")
        }
        return name
    }

    /// Letters come first, so that no name can be a job's number.
    private static func isName(_ name: String) -> Bool {
        func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }
        return (1...64).contains(name.utf8.count) && name.utf8.first.map(isLetter) == true
            && name.utf8.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) || "-_.".utf8.contains($0) }
    }

    /// Takes the names out of `after` and leaves jobs' numbers as the protocol writes them.
    private static func takeNames(
        _ object: inout JSONObject, _ place: JobPlace, _ earlier: Set<String>
    ) throws(ClientError) -> [Earlier] {
        guard let value = object["after"], !value.isNull else { return [] }
        guard let elements = value.arrayValue else {
            throw ClientError(
                .badInput, "\(place.at("after")): after is \(value.kindName), not a list",
                hint: "write for example after: [first, 7:any]")
        }
        var names: [Earlier] = []
        var numbers: [JSONValue] = []
        for (index, element) in elements.enumerated() {
            var text = element.integerValue.map { "\($0)" } ?? element.stringValue
            // As the protocol writes it: a number or name under `job`.
            if let member = element["job"],
                element.objectValue?.keys.allSatisfy(["job", "condition"].contains) == true
            {
                text = member.integerValue.map { "\($0)" } ?? member.stringValue
                if let condition = element["condition"] { text? += ":" + (condition.stringValue ?? "?") }
            }
            guard let text else {
                throw ClientError(
                    .badInput, "\(place.at("after.[\(index)]")): \(element.kindName) names no job",
                    hint:
                        "name an earlier job of the file, or give a job's number; :ok, :any or :notok may follow"
                )
            }
            if let number = Dependency(text), let encoded = try? JSONValue(encoding: number) {
                numbers.append(encoded)
                continue
            }
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard let name = parts.first, earlier.contains(name) else {
                let near = ClosestName.suggest(for: parts.first ?? "", among: earlier.sorted())
                throw ClientError(
                    .badInput,
                    "\(place.at("after.[\(index)]")): no job before this one in the file is named “\(parts.first ?? "")”",
                    hint: near.map { "did you mean \($0)?" }
                        ?? "a job waits only for jobs that stand before it")
            }
            let condition = DependencyCondition(rawValue: parts.count > 1 ? parts[1] : "ok")
            guard let condition, parts.count <= 2 else {
                throw ClientError(
                    .badInput, "\(place.at("after.[\(index)]")): “\(text)” is no condition",
                    hint: "write \(name), or \(name):ok, \(name):any or \(name):notok")
            }
            names.append(Earlier(name: name, condition: condition))
        }
        object["after"] = numbers.isEmpty ? nil : .array(numbers)
        return names
    }

    /// Takes a dataset out of a job.
    private static func takeSet(
        _ member: String, _ object: inout JSONObject, _ place: JobPlace, _ folder: DatasetFolder
    ) throws(ClientError) -> DatasetArgument? {
        guard let value = object[member], !value.isNull else { return nil }
        object[member] = nil
        return try folder.dataset(value, place.at(member))
    }

    /// Reads the further sets and leaves their places in the job filled, for the rest of them to be read.
    private static func takeUtility(
        _ object: inout JSONObject, _ place: JobPlace, _ folder: DatasetFolder
    ) throws(ClientError) -> [DatasetArgument] {
        guard let elements = object["utility"]?.arrayValue else { return [] }
        var sets: [DatasetArgument] = []
        var filled: [JSONValue] = []
        for (index, element) in elements.enumerated() {
            guard case .object(var set) = element, let value = set["dataset"] else {
                throw ClientError(
                    .badInput, "\(place.at("utility.[\(index)]")): is no set to measure on",
                    hint: "write its name and its dataset")
            }
            let data = try folder.dataset(value, place.at("utility.[\(index)].dataset"))
            set["dataset"] = .string(data.digest.hex)
            sets.append(data)
            filled.append(.object(set))
        }
        object["utility"] = .array(filled)
        return sets
    }
}
