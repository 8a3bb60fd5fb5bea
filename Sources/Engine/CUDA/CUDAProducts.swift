// SPDX-License-Identifier: Apache-2.0

import CCUDA

/// Products of bfloat16 matrices with sums in f32, by cuBLASLt on tensor cores.
///
/// cuBLASLt thinks in columns: what is row-major here is the transposed matrix there, so that c = a · b is asked for as
/// cᵀ = bᵀ · aᵀ. Algorithms are chosen once for each form of product.
package final class CUDAProducts {
    /// A row-major matrix, or its transpose.
    package struct Operand {
        package var base: CUDAHalves
        /// Values from one stored row to the next.
        package var stride: Int
        package var transposed: Bool

        /// A matrix at a place.
        package init(base: CUDAHalves, stride: Int, transposed: Bool = false) {
            self.base = base
            self.stride = stride
            self.transposed = transposed
        }
    }

    /// Where a product goes.
    package enum Target {
        case halves(CUDAHalves)
        case floats(CUDAFloats)

        var address: UInt64 {
            switch self {
            case .halves(let place): place.address
            case .floats(let place): place.address
            }
        }
        var type: Int32 {
            switch self {
            case .halves: Int32(CC_BF16)
            case .floats: Int32(CC_F32)
            }
        }
    }

    /// What an algorithm is chosen by.
    private struct Form: Hashable {
        var m: Int
        var n: Int
        var k: Int
        var strides: [Int]
        var transposed: [Bool]
        var type: Int32
        var hasBias: Bool
        var alignments: [UInt32]
    }

    /// A form that was prepared.
    private struct Plan {
        var product: UnsafeMutableRawPointer
        var a: UnsafeMutableRawPointer
        var b: UnsafeMutableRawPointer
        var c: UnsafeMutableRawPointer
        var algorithm: cc_algorithm
    }

    private unowned let card: CUDACard
    private let calls: cc_products
    private let handle: UnsafeMutableRawPointer
    private let workspace: CUDAMemory
    private var plans: [Form: Plan] = [:]

    /// Starts cuBLASLt.
    init(_ card: CUDACard) throws(EngineError) {
        calls = card.libraries.products
        var handle: UnsafeMutableRawPointer?
        let code = calls.create(&handle)
        guard code == 0, let handle else {
            throw Self.fault(card, calls, code, "cuBLASLt does not start")
        }
        self.card = card
        self.handle = handle
        workspace = try CUDAMemory(card, bytes: CUDACard.workspace)
    }

    deinit {
        for plan in plans.values {
            for matrix in [plan.a, plan.b, plan.c] { _ = calls.destroy_matrix(matrix) }
            _ = calls.destroy_product(plan.product)
        }
        _ = calls.destroy(handle)
    }

    /// c(m,n) = a(m,k) · b(k,n) (+ `start`, laid out as c is) (+ bias(n) in each row).
    ///
    /// - Parameters:
    ///   - start: What is added to, where c is f32; c itself for a product that is added up.
    ///   - bias: Of the type of c.
    package func multiply(
        _ m: Int, _ n: Int, _ k: Int, _ a: Operand, _ b: Operand, into c: Target, stride: Int,
        adding start: CUDAFloats? = nil, bias: UInt64? = nil
    ) throws(EngineError) {
        guard m > 0, n > 0 else { return }
        let begin = start?.address ?? c.address
        let form = Form(
            m: m, n: n, k: k, strides: [a.stride, b.stride, stride],
            transposed: [a.transposed, b.transposed], type: c.type, hasBias: bias != nil,
            alignments: [b.base.address, a.base.address, begin, c.address].map {
                UInt32(1) << min(8, UInt32($0.trailingZeroBitCount))
            })
        let plan = try plan(form, bias: bias)
        if let bias {
            try set(calls.set_product, plan.product, CC_PRODUCT_BIAS, bias)
        }
        var (one, share): (Float, Float) = (1, start == nil ? 0 : 1)
        var algorithm = plan.algorithm
        let code = calls.multiply(
            handle, plan.product, &one, Self.pointer(b.base.address), plan.a, Self.pointer(a.base.address),
            plan.b,
            &share, Self.pointer(begin), plan.c, Self.mutablePointer(c.address), plan.c, &algorithm.data,
            Self.mutablePointer(workspace.address), CUDACard.workspace, card.stream)
        guard code == 0 else { throw Self.fault(card, calls, code, "a product of \(m) x \(n) x \(k)") }
    }

    private func plan(_ form: Form, bias: UInt64?) throws(EngineError) -> Plan {
        if let plan = plans[form] { return plan }
        let what = "preparing a product of \(form.m) x \(form.n) x \(form.k)"
        func made(
            _ make: (UnsafeMutablePointer<UnsafeMutableRawPointer?>) -> Int32
        ) throws(EngineError) -> UnsafeMutableRawPointer {
            var object: UnsafeMutableRawPointer?
            let code = make(&object)
            guard code == 0, let object else { throw Self.fault(card, calls, code, what) }
            return object
        }
        func matrix(_ type: Int32, rows: Int, columns: Int, _ stride: Int) throws(EngineError)
            -> UnsafeMutableRawPointer
        {
            try made { calls.create_matrix($0, type, UInt64(rows), UInt64(columns), Int64(stride)) }
        }
        let product = try made { calls.create_product($0, Int32(CC_COMPUTE_F32), Int32(CC_F32)) }
        // The right operand comes first there; a stored transpose is what cuBLASLt has to transpose back.
        try set(calls.set_product, product, CC_PRODUCT_TRANSPOSES_A, Int32(form.transposed[1] ? 1 : 0))
        try set(calls.set_product, product, CC_PRODUCT_TRANSPOSES_B, Int32(form.transposed[0] ? 1 : 0))
        try set(
            calls.set_product, product, CC_PRODUCT_EPILOGUE,
            Int32(form.hasBias ? CC_EPILOGUE_BIAS : CC_EPILOGUE_NONE))
        // An algorithm is chosen by where the bias is, too.
        if let bias { try set(calls.set_product, product, CC_PRODUCT_BIAS, bias) }
        let half = Int32(CC_BF16)
        let a = try matrix(
            half, rows: form.transposed[1] ? form.k : form.n, columns: form.transposed[1] ? form.n : form.k,
            form.strides[1])
        let b = try matrix(
            half, rows: form.transposed[0] ? form.m : form.k, columns: form.transposed[0] ? form.k : form.m,
            form.strides[0])
        let c = try matrix(form.type, rows: form.n, columns: form.m, form.strides[2])
        let wishes = try made { calls.create_wishes($0) }
        defer { _ = calls.destroy_wishes(wishes) }
        try set(calls.set_wishes, wishes, CC_WISH_WORKSPACE, UInt64(CUDACard.workspace))
        for (index, alignment) in form.alignments.enumerated() {
            try set(calls.set_wishes, wishes, CC_WISH_ALIGNMENT_A + index, alignment)
        }
        let algorithm = UnsafeMutablePointer<cc_algorithm>.allocate(capacity: 1)
        defer { algorithm.deallocate() }
        var found: Int32 = 0
        let code = calls.choose(handle, product, a, b, c, c, wishes, 1, algorithm, &found)
        guard code == 0, found > 0, algorithm.pointee.state == 0 else {
            throw Self.fault(card, calls, code, what)
        }
        let plan = Plan(product: product, a: a, b: b, c: c, algorithm: algorithm.pointee)
        plans[form] = plan
        return plan
    }

    private func set<Value>(
        _ setter: (UnsafeMutableRawPointer, Int32, UnsafeRawPointer, Int) -> Int32,
        _ object: UnsafeMutableRawPointer, _ attribute: Int, _ value: Value
    ) throws(EngineError) {
        let code = withUnsafePointer(to: value) {
            setter(object, Int32(attribute), $0, MemoryLayout<Value>.size)
        }
        guard code == 0 else { throw Self.fault(card, calls, code, "describing a product") }
    }

    private static func fault(_ card: CUDACard, _ calls: cc_products, _ code: Int32, _ what: String)
        -> EngineError
    {
        let words = calls.error_text(code).map { String(cString: $0) } ?? "error \(code)"
        return EngineError(
            .deviceFailure, "cuBLASLt on \(card.name) failed: \(what): \(words) (\(code))",
            hint: "Compute with --device cpu, and report it with the output of unlearnctl system doctor.")
    }

    /// Places of the card's memory, as calls of C take them; nobody here looks at what they point to.
    private static func pointer(_ address: UInt64) -> UnsafeRawPointer {
        UnsafeRawPointer(mutablePointer(address))
    }

    private static func mutablePointer(_ address: UInt64) -> UnsafeMutableRawPointer {
        guard let pointer = UnsafeMutableRawPointer(bitPattern: UInt(address)) else {
            preconditionFailure("no memory of the card is at 0")
        }
        return pointer
    }
}
