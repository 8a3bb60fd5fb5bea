// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Objects that are stored as differences from others.
///
/// How an object is stored may change while it is read, since its content stays: readers look again. Chains are walked
/// one by one, are at most ``deepest`` long, and never come back to where they were.
extension ObjectStore {
    /// The most differences between an object and the full one that it goes back to.
    package static let deepest = 8

    /// Whether anything in the store may be a delta.
    func usesDeltas() throws -> Bool {
        try StoreFormat.has(.deltas, root: root, fileSystem)
    }

    /// What an object is a difference from, what that is one from, and so on to the full one; none of a full object.
    /// - Throws: ``ObjectFault`` `.base` for a base that is missing, damaged, of another length or kind, too deep, or
    ///   the object itself.
    func bases(of header: ObjectHeader) throws -> [Digest] {
        var found: [Digest] = []
        var next = header.base
        while let id = next {
            guard id != header.id, !found.contains(id) else {
                throw ObjectFault.base(id, "it hangs on itself")
            }
            guard found.count < Self.deepest else {
                throw ObjectFault.base(id, "it is more than \(Self.deepest) differences deep")
            }
            let base = try asBase(id) { try head(path(of: id)) }
            guard base.id == id else { throw ObjectFault.base(id, ObjectFault.name.description) }
            guard base.kind == .chunk, base.rawSize == header.rawSize else {
                throw ObjectFault.base(id, "it has \(base.rawSize) bytes where \(header.rawSize) belong")
            }
            found.append(id)
            next = base.base
        }
        return found
    }

    /// Puts the content of a delta together and checks it against its name.
    /// - Parameter target: Exactly as long as the content.
    func assemble(_ id: Digest, into target: UnsafeMutableRawBufferPointer) throws {
        try store("object \(id.short)") {
            var attempt = 1
            while true {
                do {
                    let header = try head(path(of: id))
                    guard header.id == id else { throw ObjectFault.name }
                    guard header.rawSize == target.count else { throw ObjectFault.content }
                    let chain = [id] + (try bases(of: header))
                    try layer(chain, into: target, hashesBases: false)
                    if ContentHash.of(UnsafeRawBufferPointer(target)) == id { return }
                    // Which of them is it?
                    try layer(chain, into: target, hashesBases: true)
                    throw ObjectFault.content
                } catch let fault as ObjectFault {
                    // A base may have become a delta, or a delta full and its base garbage, since its head was read.
                    guard case .base = fault, attempt < 4 else { throw fault }
                    attempt += 1
                }
            }
        }
    }

    /// Decodes the last of `chain` and adds the differences up to the first.
    private func layer(
        _ chain: [Digest], into target: UnsafeMutableRawBufferPointer, hashesBases: Bool
    ) throws {
        for (index, link) in chain.enumerated().reversed() {
            let base = index + 1 < chain.count ? chain[index + 1] : nil
            func decode() throws {
                try readFile(path(of: link)) { file, header, codec in
                    guard header.id == link else { throw ObjectFault.name }
                    guard header.rawSize == target.count else { throw ObjectFault.content }
                    guard header.base == base else { throw ObjectFault.base(link, "it was just stored anew") }
                    try codec.decode(file, header, into: target)
                }
                if hashesBases, ContentHash.of(UnsafeRawBufferPointer(target)) != link {
                    throw ObjectFault.content
                }
            }
            if index == 0 { try decode() } else { try asBase(link, decode) }
        }
    }

    /// Blames failures of `body` on the base `id`.
    private func asBase<R>(_ id: Digest, _ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch let fault as ObjectFault {
            switch fault {
            case .newer, .base, .locked: throw fault
            default: throw ObjectFault.base(id, fault.description)
            }
        } catch let error as FileSystemError where error.isMissing {
            throw ObjectFault.base(id, "it is not there")
        }
    }

    /// Which objects the given ones hang on, directly or not: each found base by the object that it is told by. Objects
    /// whose own head cannot be read hang on nothing that could be known.
    /// - Parameter skipsLocked: Whether that also goes for those whose key is not there; else they throw.
    func bases(under objects: some Sequence<Digest>, skipsLocked: Bool = false) throws -> [Digest: Digest] {
        guard try usesDeltas() else { return [:] }
        var bases: [Digest: Digest] = [:]
        var open = Array(objects)
        var seen = Set(open)
        while let id = open.popLast() {
            let base: Digest?
            do { base = try self.base(of: id) } catch let fault as ObjectFault where skipsLocked {
                guard case .locked = fault else { throw fault }
                continue
            }
            guard let found = base else { continue }
            bases[id] = found
            if seen.insert(found).inserted { open.append(found) }
        }
        return bases
    }

    /// The base that an object's head names; `nil` also when there is no sound head.
    func base(of id: Digest) throws -> Digest? {
        do {
            return try head(path(of: id)).base
        } catch let fault as ObjectFault {
            // It is sound for all that is known: what it hangs on must not be taken for unneeded.
            if case .locked = fault { throw fault }
            return nil
        } catch let error as FileSystemError where error.isMissing {
            return nil
        }
    }
}
