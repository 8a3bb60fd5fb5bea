// SPDX-License-Identifier: Apache-2.0

/// What the processor can do, as the kernel lists it.
package struct CPUFeatures: Hashable, Sendable {
    var flags: Set<Substring>

    /// The features of this machine.
    static var current: CPUFeatures { CPUFeatures(cpuinfo: SmallFile.read("/proc/cpuinfo") ?? "") }

    /// The features of the first processor in the text of `/proc/cpuinfo`.
    package init(cpuinfo: String) {
        let line = cpuinfo.split(separator: "\n").first { $0.hasPrefix("flags") || $0.hasPrefix("Features") }
        flags = Set(line?.split(separator: ":").last?.split(separator: " ") ?? [])
    }

    /// OpenBLAS's name for the best kernels that run here; `nil` leaves the choice to OpenBLAS.
    ///
    /// Named on purpose and never inherited, because the kernels decide the result's bits.
    package var openBLASCoreType: String? {
        if flags.isSuperset(of: ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"]) {
            return "SkylakeX"
        }
        return flags.isSuperset(of: ["avx2", "fma"]) ? "Haswell" : nil
    }
}
