// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// An ext4 file system of 64 MiB in an image, mounted as a daemon's state directory. Needs root, mkfs.ext4 and a loop device.
package final class LoopDisk {
    /// Where it is mounted.
    package let mount: String
    /// The file that holds it.
    package let image: String

    /// Makes and mounts it in a daemon's directory; `nil` where that cannot be done.
    package init?(_ directory: String) {
        (mount, image) = (directory + "/state", directory + "/image")
        guard geteuid() == 0 else { return nil }
        let made = Self.run(
            "truncate -s 64M \(image) && mkfs.ext4 -q -F -m 0 \(image) && mkdir -p \(mount)")
        guard made == 0, remount() else { return nil }
    }

    deinit { _ = Self.run("umount -l \(mount) 2>/dev/null") }

    /// A daemon whose state directory is such a disk; prints why the test is skipped where that cannot be done.
    package static func daemon(environment: [String: String] = [:]) throws -> (
        daemon: RunningDaemon, disk: LoopDisk
    )? {
        var disk: LoopDisk?
        let daemon = try RunningDaemon(environment: environment) { disk = LoopDisk($0) }
        guard let disk else {
            print("skipped: a loop-mounted image needs root, mkfs.ext4 and a loop device")
            return nil
        }
        return (daemon, disk)
    }

    /// Mounts it; on an error of the disk it becomes one that can only be read.
    package func remount() -> Bool {
        Self.run("mount -o loop,errors=remount-ro \(image) \(mount) && chmod 700 \(mount)") == 0
    }

    /// Makes the kernel believe that the disk has failed.
    /// - Returns: Whether nothing can be written any more.
    package func fail() -> Bool {
        let device = "loop=$(losetup -n -O NAME -j \(image)) && loop=${loop##*/} && [ -n \"$loop\" ]"
        return Self.run("\(device) && echo 1 >/sys/fs/ext4/$loop/trigger_fs_error") == 0
            && Self.run("printf x >\(mount)/more") != 0
    }

    /// Runs a line of the shell.
    /// - Returns: Its exit status.
    package static func run(_ command: String) -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "PATH=$PATH:/usr/sbin:/sbin; " + command]
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return -1 }
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// Which of these stand in the image, by their places in the list.
    package func found(_ needles: [[UInt8]]) throws -> Set<Int> {
        // By the first two bytes, so that one pass over the image is enough.
        var candidates = [[Int]](repeating: [], count: 1 << 16)
        for (index, needle) in needles.enumerated() {
            candidates[Int(needle[0]) << 8 | Int(needle[1])].append(index)
        }
        let data = try Data(contentsOf: URL(fileURLWithPath: image), options: .alwaysMapped)
        return data.withUnsafeBytes { image in
            var found: Set<Int> = []
            for place in 0..<max(0, image.count - 64) {
                for index in candidates[Int(image[place]) << 8 | Int(image[place + 1])] {
                    let needle = needles[index]
                    if image[place..<place + needle.count].elementsEqual(needle) { found.insert(index) }
                }
            }
            return found
        }
    }
}
