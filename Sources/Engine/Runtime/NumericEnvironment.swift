// SPDX-License-Identifier: Apache-2.0

import CKernels
import COpenBLAS

/// What the numbers of a run depend on besides its inputs: recorded with every version that a run makes.
package struct NumericEnvironment: Sendable, Hashable, Codable {
    /// The kernels that OpenBLAS runs, in its own words.
    package var blasCore: String
    /// OpenBLAS's build line, which begins with its version.
    package var blasBuild: String
    /// The instruction level of our own kernels: `scalar`, `avx2` or `avx512`.
    package var kernelLevel: String
    /// How operands of matrix products are rounded and by whom, unless they stay f32: "bf16, oneDNN 2.6.3".
    package var arithmetic: String?
    /// How many threads ran; results do not depend on it.
    package var threads: Int

    /// The same in a few words.
    package var summary: String {
        let words = blasBuild.split(separator: " ")
        let version = words.count > 1 ? words[1] : "unknown version"
        let own = "OpenBLAS \(blasCore) (\(version)), kernels \(kernelLevel)"
        return arithmetic.map { "\($0), \(own)" } ?? own
    }

    /// Instruction sets that matter for the choice of kernels.
    package struct Processor: Sendable, Hashable {
        /// AVX2, FMA and F16C.
        package var avx2: Bool
        /// AVX-512 F, BW, DQ and VL.
        package var avx512: Bool

        /// Of these abilities.
        package init(avx2: Bool, avx512: Bool) {
            self.avx2 = avx2
            self.avx512 = avx512
        }

        /// The processor this runs on.
        package static var current: Processor {
            let level = ck_best_level()
            return Processor(avx2: Int(level) >= CK_LEVEL_AVX2, avx512: Int(level) >= CK_LEVEL_AVX512)
        }
    }

    /// The value of `OPENBLAS_CORETYPE` for a new process; `nil` leaves the choice to OpenBLAS.
    ///
    /// OpenBLAS reads the variable when the library is loaded, so it has to be set before the process starts.
    package static func coreType(for processor: Processor) -> String? {
        if processor.avx512 { return "SkylakeX" }
        return processor.avx2 ? "Haswell" : nil
    }

    /// The whole set of OpenBLAS variables for a new process: nothing of it is to be inherited.
    package static func variables(for processor: Processor) -> [String: String] {
        // oneDNN runs on OpenMP.
        var variables = ["OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"]
        if let core = coreType(for: processor) { variables["OPENBLAS_CORETYPE"] = core }
        return variables
    }

    /// What this process runs. Sets OpenBLAS to one thread, for the whole process.
    ///
    /// - Throws: ``EngineError`` with `.unsupportedMachine` if OpenBLAS keeps to threads of its own.
    static func current(
        kernels: UnsafePointer<ck_kernels>, threads: Int, arithmetic: String? = nil
    ) throws(EngineError)
        -> NumericEnvironment
    {
        openblas_set_num_threads(1)
        let build = String(cString: openblas_get_config())
        guard openblas_get_num_threads() == 1 else {
            throw EngineError(
                .unsupportedMachine, "OpenBLAS does not run on one thread (\(build))",
                hint: "Install the pthread or serial build of OpenBLAS (Debian: libopenblas0-pthread).")
        }
        return NumericEnvironment(
            blasCore: String(cString: openblas_get_corename()), blasBuild: build,
            kernelLevel: String(cString: kernels.pointee.name), arithmetic: arithmetic, threads: threads)
    }
}
