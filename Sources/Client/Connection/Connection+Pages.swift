// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Lists that come page after page, put together as one.
///
/// The first page is asked for without saying how long it may be, as daemons without pages want it; they give the whole.
extension Connection {
    /// All models, in the order of their names.
    package func models(deadline: Deadline? = nil) throws(ClientError) -> [JSONValue] {
        var models: [JSONValue] = []
        var params = ModelListParams()
        while true {
            let page = try Self.elements(call(.modelList, params, deadline: deadline))
            models += page
            guard page.count == ModelPage.most,
                let last = page.last?["model"]?.stringValue.flatMap({ ModelName($0) })
            else { return models }
            params.after = last
        }
    }

    /// All versions of a model, oldest first.
    package func history(of model: ModelName, deadline: Deadline? = nil) throws(ClientError) -> [JSONValue] {
        let first = try call(.modelHistory, ModelHistoryParams(model: model), deadline: deadline)
        return try history(of: model, from: first, deadline: deadline)
    }

    /// All versions of a model as they are now; none where it has gone.
    package func versions(of model: ModelName) throws(ClientError) -> [VersionSummary] {
        guard
            case .success(let first) = try callReturningError(.modelHistory, ModelHistoryParams(model: model))
        else { return [] }
        return try Self.decode([VersionSummary].self, .array(history(of: model, from: first)))
    }

    private func history(
        of model: ModelName, from newest: JSONValue, deadline: Deadline? = nil
    ) throws(ClientError) -> [JSONValue] {
        var pages = [try Self.elements(newest)]
        var params = ModelHistoryParams(model: model)
        while let number = pages.last?.first?["version"]?.stringValue.flatMap({ VersionNumber($0) }),
            number.number > 1
        {
            params.before = number
            pages.append(try Self.elements(call(.modelHistory, params, deadline: deadline)))
        }
        return pages.reversed().flatMap(\.self)
    }

    /// All datasets, oldest first.
    package func datasets(deadline: Deadline? = nil) throws(ClientError) -> [JSONValue] {
        var datasets = try Self.elements(call(.datasetList, deadline: deadline))
        var count = datasets.count
        while count == ModelPage.most, let last = datasets.last {
            var params = DatasetListParams()
            params.after = try Self.decode(DatasetPlace.self, last)
            let page = try Self.elements(call(.datasetList, params, deadline: deadline))
            datasets += page
            count = page.count
        }
        return datasets
    }

    /// A version with all its files.
    package func files(of version: VersionReference, deadline: Deadline? = nil) throws(ClientError)
        -> VersionFiles
    {
        let pages = try filePages(of: version, deadline: deadline).map { page throws(ClientError) in
            try Self.decode(VersionFiles.self, page)
        }
        var whole = pages[0]
        whole.files = pages.flatMap(\.files)
        whole.next = nil
        return whole
    }

    private func filePages(of version: VersionReference, deadline: Deadline?) throws(ClientError)
        -> [JSONValue]
    {
        var params = ModelFilesParams(version: version)
        var pages: [JSONValue] = []
        repeat {
            let page = try call(.modelFiles, params, deadline: deadline)
            pages.append(page)
            // From here on by number: the head may move between two pages.
            if let number = page["version"]?.stringValue.flatMap({ VersionNumber($0) }) {
                params.version = VersionReference(model: version.model, version: number)
            }
            params.after = page["next"]?.stringValue
        } while params.after != nil
        return pages
    }

    /// A model with all its versions, moves, requests and files.
    package func model(_ name: ModelName, deadline: Deadline? = nil) throws(ClientError) -> JSONValue {
        var params = ModelShowParams(model: name)
        var pages: [JSONValue] = []
        repeat {
            let page = try call(.modelShow, params, deadline: deadline)
            pages.append(page)
            params.before = try page["next"].map { next throws(ClientError) in
                try Self.decode(ModelShowPlace.self, next)
            }
        } while params.before != nil
        guard pages.count > 1 || pages[0]["next_file"] != nil, case .object(var whole)? = pages.first else {
            return pages[0]
        }
        whole["next"] = nil
        if whole["next_file"] != nil, let head = whole["head"]?.stringValue.flatMap({ VersionNumber($0) }) {
            let files = try filePages(of: VersionReference(model: name, version: head), deadline: deadline)
            whole["files"] = .array(files.flatMap { $0["files"]?.arrayValue ?? [] })
            whole["next_file"] = nil
        }
        for list in ["history", "moves", "requests"] {
            whole[list] = .array(pages.reversed().flatMap { $0[list]?.arrayValue ?? [] })
        }
        return .object(whole)
    }

    private static func elements(_ list: JSONValue) throws(ClientError) -> [JSONValue] {
        guard let elements = list.arrayValue else {
            throw ClientError(
                .protocolMismatch, "the daemon's answer is no list",
                hint: "use client and daemon of one version")
        }
        return elements
    }
}
