// SPDX-License-Identifier: Apache-2.0

import Logging
import Protocol
import ServiceLifecycle
import UnixSignals

/// Reads the configuration anew at each SIGHUP, and puts into effect what can change while jobs run.
struct ReloadService: Service {
    let source: ConfigurationSource
    /// What the daemon started with.
    let initial: DaemonConfiguration
    let control: ControlPlane
    let hooks: HookRunner
    let roles: LiveRoles
    let level: LogLevel
    let manager: ServiceManager
    let logger: Logger

    func run() async throws {
        var current = initial
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            manager.reloading()
            current = await reload(current)
            manager.reloaded()
        }
    }

    /// - Returns: What is in effect now.
    private func reload(_ current: DaemonConfiguration) async -> DaemonConfiguration {
        let new: DaemonConfiguration
        let rules: RoleRules
        do {
            new = try source.load()
            rules = try RoleRules.current(environment: source.environment, grants: new.roles)
        } catch {
            logger.error("the configuration was not reloaded, the one before stays in effect: \(error)")
            return current
        }
        let changes = ConfigurationChange.between(current, new)
        let taken = changes.filter { !$0.needsRestart }
        var audited = JSONObject()
        for change in taken {
            audited[change.key] =
                change.values.map { ["from": .string($0.from), "to": .string($0.to)] } ?? "changed"
        }
        do { try await control.apply(new.control, changed: audited) } catch {
            logger.error("the configuration was not reloaded, the one before stays in effect: \(error)")
            return current
        }
        level.current = new.logLevel
        hooks.replace(new.hooks)
        roles.current = rules
        logger.notice(
            "the configuration was reloaded: \(taken.isEmpty ? "nothing changed" : "\(taken.count) changed")")
        for change in taken { logger.notice("reload: \(change.text)") }
        for change in changes where change.needsRestart {
            logger.warning("reload: \(change.text) takes effect only with a restart of the daemon")
        }
        return current.reloaded(with: new)
    }
}
