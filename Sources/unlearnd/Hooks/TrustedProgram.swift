// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Finds out whether nobody but root and this user can have written a program.
enum TrustedProgram {
    /// Why a program is not run.
    struct Refusal: Error, Hashable {
        var message: String
        var hint: String
    }

    /// The program's path without symbolic links.
    ///
    /// File and folders must belong to root or to this process's user, and no one else may write them; a folder with the
    /// sticky bit, such as `/tmp`, may be open to all, for nobody can replace another's files in it.
    /// - Throws: ``Refusal`` naming what is wrong with which path.
    static func resolve(_ path: String) throws(Refusal) -> String {
        guard path.hasPrefix("/") else {
            throw Refusal(
                message: "\(path) is no absolute path", hint: "begin it with “/”; no shell looks for programs"
            )
        }
        guard let resolved = realpath(path, nil) else {
            throw Refusal(message: "\(path): \(String(cString: strerror(errno)))", hint: "check the path")
        }
        defer { free(resolved) }
        let file = String(cString: resolved)
        try check(file, isFolder: false)
        var folder = file[...]
        while let slash = folder.lastIndex(of: "/") {
            folder = folder[..<slash]
            try check(folder.isEmpty ? "/" : String(folder), isFolder: true)
        }
        guard access(file, X_OK) == 0 else {
            throw Refusal(message: "\(file) cannot be executed", hint: "chmod +x it")
        }
        return file
    }

    private static func check(_ path: String, isFolder: Bool) throws(Refusal) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            throw Refusal(message: "\(path): \(String(cString: strerror(errno)))", hint: "check the path")
        }
        guard status.st_mode & S_IFMT == (isFolder ? S_IFDIR : S_IFREG) else {
            throw Refusal(message: "\(path) is no \(isFolder ? "folder" : "file")", hint: "name a program")
        }
        guard status.st_uid == 0 || status.st_uid == geteuid() else {
            throw Refusal(
                message: "\(path) belongs to user \(status.st_uid)",
                hint: "a hook's program and its folders belong to root or to user \(geteuid())")
        }
        let isSticky = isFolder && status.st_mode & S_ISVTX != 0
        guard status.st_mode & (S_IWGRP | S_IWOTH) == 0 || isSticky else {
            throw Refusal(message: "\(path) can be written by others", hint: "chmod go-w \(path)")
        }
    }
}
