// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Logging
import NIOCore
import NIOPosix
import Protocol
import ServiceLifecycle
import UnixSignals

/// The daemon's parts, put together and run until a signal ends them.
struct Daemon {
    private let logger: Logger
    private let loops = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    private let group: ServiceGroup

    /// Takes the state directory and the sockets. Nothing is served before ``run()``.
    ///
    /// - Throws: ``StartupError`` or ``ListeningSocket/Fault``.
    /// - Parameter source: Where the configuration came from, for reloads.
    init(_ configuration: DaemonConfiguration, source: ConfigurationSource) throws {
        let environment = source.environment
        let level = LogLevel(configuration.logLevel)
        let logger = Logger(label: "unlearnd") { _ in
            StandardErrorLog(level: level, environment: environment)
        }
        self.logger = logger
        umask(0o077)
        StateDatabase.putTemporaryFiles(in: configuration.control.stateDirectory)
        cl_limit_arenas(2)
        signal(SIGPIPE, SIG_IGN)
        // Until reloads are served, there is nothing to reload.
        signal(SIGHUP, SIG_IGN)
        let manager = ServiceManager(environment: environment)
        let patience = StartupPatience(manager)
        defer { patience.end() }
        let open = DescriptorLimit.raise()
        // What remains is for connections, the database and the object store.
        var transferLimits = TransferTable.Limits()
        let limits = ServerLimits(descriptors: open)
        transferLimits.descriptors = min(transferLimits.descriptors, max(64, open - limits.connections - 512))
        let refusals = RefusalLog(logger: logger)
        let transfers = TransferTable(limits: transferLimits, refusals: refusals)
        let control = try ControlPlane(
            configuration: configuration.control, transfers: transfers, logger: logger)
        refusals.begin(control.database)
        let blobs = try BlobSpool(
            directory: configuration.control.stateDirectory + "/uploads", refusals: refusals)
        let rules = try RoleRules.current(environment: environment, grants: configuration.roles)
        let roles = LiveRoles(rules)
        let (socket, descriptorSocket) = try Self.sockets(
            configuration, environment: environment, group: rules.isService ? rules.operatorGroup : nil,
            isPublic: rules.isService)
        let identity = DaemonIdentity(
            socket: configuration.socket, descriptorSocket: descriptorSocket.path,
            stateDirectory: configuration.control.stateDirectory)
        var router = Router(logger: logger, refusals: refusals)
        router.addJobHandlers(control)
        router.addModelHandlers(control)
        router.addStoreHandlers(control)
        router.addQueueHandlers(control)
        router.addAuditHandlers(control)
        router.addDatasetHandlers(control, blobs)
        router.addTransferHandlers(transfers, identity)
        router.addSystemHandlers(control, identity)
        let server = SocketServer(
            socket: socket, loops: loops, rules: roles,
            environment: ConnectionHandler.Environment(
                router: router, control: control, identity: identity,
                registry: ConnectionRegistry(limits: limits), refusals: refusals,
                limits: limits, logger: logger)
        ) {
            logger.notice("unlearnd \(Software.version) listens on \(configuration.socket)")
            manager.ready("listening on \(configuration.socket)")
        }
        let hooks = HookRunner(
            configuration.hooks, hub: control.hub, socket: configuration.socket,
            scratch: configuration.control.stateDirectory, logger: logger)
        // They stop in the reverse order: first no more requests, then no more jobs, then what events had done.
        let services: [(any Service)?] = [
            // To the end there are signs of life.
            Watchdog(
                environment: environment, manager: manager, loops: loops, database: control.database,
                logger: logger),
            hooks, JobJournal(hub: control.hub, logger: logger),
            ControlPlaneService(control: control, refusals: refusals, manager: manager, logger: logger),
            DescriptorServer(
                socket: descriptorSocket, rules: roles, transfers: transfers, refusals: refusals,
                logger: logger), server,
            StatusLine(control: control, manager: manager, idle: "listening on \(configuration.socket)"),
            ReloadService(
                source: source, initial: configuration, control: control, hooks: hooks, roles: roles,
                level: level,
                manager: manager, logger: logger),
        ]
        group = ServiceGroup(
            services: services.compactMap(\.self),
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: Logger(label: "services", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    /// The sockets that systemd holds for the daemon, or its own.
    private static func sockets(
        _ configuration: DaemonConfiguration, environment: [String: String], group: UInt32?, isPublic: Bool
    ) throws(ListeningSocket.Fault) -> (control: ListeningSocket, descriptors: ListeningSocket) {
        if let inherited = try InheritedSockets(environment: environment) {
            guard inherited.control.path == configuration.socket else {
                throw ListeningSocket.Fault(
                    message: "systemd listens on \(inherited.control.path), but the configuration says "
                        + "\(configuration.socket)",
                    hint: "name one path in both: ListenStream= of unlearnd.socket, and the key socket")
            }
            return (inherited.control, inherited.descriptors)
        }
        return (
            try ListeningSocket(
                path: configuration.socket, type: SOCK_STREAM, group: group, isPublic: isPublic),
            try ListeningSocket(
                path: configuration.descriptorSocket, type: SOCK_SEQPACKET, group: group, isPublic: isPublic)
        )
    }

    /// Serves until SIGTERM or SIGINT.
    func run() async throws {
        try await group.run()
        try await loops.shutdownGracefully()
        logger.notice("unlearnd stopped")
    }
}

/// The control plane as a service: the last to stop.
private struct ControlPlaneService: Service {
    let control: ControlPlane
    let refusals: RefusalLog
    let manager: ServiceManager
    let logger: Logger

    func run() async throws {
        await control.start()
        let tidying = Task { await control.tidyRegularly() }
        try? await gracefulShutdown()
        tidying.cancel()
        manager.stopping()
        logger.notice("stopping: running jobs will start again with the next daemon")
        await refusals.flush()
        await control.shutdown()
    }
}
