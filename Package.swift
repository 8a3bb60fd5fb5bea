// swift-tools-version: 6.3
import PackageDescription

/// One strictness for every Swift target; warnings are errors in debug and in release.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

let argumentParser = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

let package = Package(
    name: "unlearnd",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "unlearnd", targets: ["unlearnd"]),
        .executable(name: "unlearnd-worker", targets: ["unlearnd-worker"]),
        .executable(name: "unlearnctl", targets: ["unlearnctl"]),
        .executable(name: "unlearnd-web", targets: ["unlearnd-web"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: []),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", "6.2.0"..<"7.0.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    ],
    targets: [
        // C leaves. No allocation, no mutable globals.
        .target(name: "CLinux", path: "Sources/CLinux"),
        .target(name: "CKernels", path: "Sources/CKernels"),
        .target(name: "CMPI", path: "Sources/CMPI"),
        .target(name: "CCUDA", path: "Sources/CCUDA", exclude: ["kernels"]),
        .systemLibrary(
            name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // Libraries, each importing only what stands above it in this list.
        .target(name: "Protocol", swiftSettings: strict),
        .target(
            name: "Checkpoints", dependencies: ["Protocol", "CKernels", "CZstd", "CLinux", crypto, system],
            swiftSettings: strict),
        .target(
            name: "Engine",
            dependencies: ["Protocol", "Checkpoints", "CCUDA", "CKernels", "COpenBLAS", "CZlib"],
            swiftSettings: strict),

        .target(name: "Client", dependencies: ["Protocol", "CLinux"], swiftSettings: strict),

        // Programs.
        .executableTarget(
            name: "unlearnd",
            dependencies: [
                "Protocol", "Checkpoints", "CLinux", argumentParser, crypto, logging, system,
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Subprocess", package: "swift-subprocess"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "unlearnd-worker",
            dependencies: ["Protocol", "Checkpoints", "Engine", "CLinux", "CMPI", system],
            swiftSettings: strict),
        .executableTarget(
            name: "unlearnctl", dependencies: ["Protocol", "Client", "CLinux", argumentParser, crypto],
            swiftSettings: strict),
        .executableTarget(
            name: "unlearnd-web",
            dependencies: [
                "Protocol", "Client", argumentParser,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict),

        // Tests. Swift Testing only; numeric suites are meant for `-c release`.
        .target(
            name: "TestSupport", dependencies: ["Protocol", "CLinux"], path: "Tests/TestSupport",
            swiftSettings: strict),
        .testTarget(
            name: "ProtocolTests",
            dependencies: [
                "Protocol", "TestSupport", .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CheckpointsTests", dependencies: ["Checkpoints", "TestSupport", crypto, system],
            swiftSettings: strict),
        .testTarget(
            name: "EngineTests",
            dependencies: ["Protocol", "CKernels", "Engine", "Checkpoints", "TestSupport"],
            resources: [.copy("Fixtures")], swiftSettings: strict),
        .testTarget(
            name: "UnlearndTests",
            dependencies: [
                "unlearnd", "Protocol", "Checkpoints", "TestSupport", logging,
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            resources: [.copy("Fixtures")], swiftSettings: strict),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "Protocol", "TestSupport", "unlearnd", "unlearnd-worker", "unlearnctl", "unlearnd-web",
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: strict),
    ]
)
