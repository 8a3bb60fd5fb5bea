// SPDX-License-Identifier: Apache-2.0
//
// Linux calls that Swift cannot import: macros of sockets, and system calls without a wrapper.
// Every function returns a result >= 0, or -errno.
#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Most descriptors that one message carries.
#define CL_MAX_DESCRIPTORS 64

/// Who is at the other end of a connected Unix socket. Fails with -EPROTOTYPE for another kind of socket,
/// since SO_PEERCRED "succeeds" there without meaning.
int cl_peer_credentials(int socket, int32_t *pid, uint32_t *uid, uint32_t *gid);

/// The supplementary groups of the peer: fills at most `capacity`, returns how many there are.
int cl_peer_groups(int socket, uint32_t *groups, int capacity);

/// Accepts a connection: the descriptor is close-on-exec and non-blocking.
int cl_accept(int socket);

/// Sends `length` bytes, with `count` descriptors attached (0 for none). Never raises SIGPIPE.
/// Returns the bytes sent.
ssize_t cl_send(int socket, const void *bytes, size_t length, const int *descriptors, int count);

/// Receives up to `length` bytes and up to `capacity` descriptors (close-on-exec); surplus descriptors are
/// closed and `truncated` is set. Returns the bytes received, 0 at end of input.
ssize_t cl_receive(int socket, void *bytes, size_t length, int *descriptors, int capacity, int *count,
                   int *truncated);

/// Renames without replacing: -EEXIST when the target is there.
int cl_rename_noreplace(int from_directory, const char *from, int to_directory, const char *to);

/// Puts something that can be neither read nor written in the place of each standard descriptor that is closed, so that no
/// file or socket gets its number and what is meant for the user. Called before anything is opened.
int cl_hold_standard_descriptors(void);

/// Makes all changes of the file system that a descriptor lies on durable.
int cl_synchronize_file_system(int descriptor);

/// Kills this process when its parent dies.
int cl_die_with_parent(int signal);

/// Gives every allocation of at least `bytes` a mapping of its own, and keeps glibc from moving that threshold.
/// Returns 0 if the allocator does not have such a setting.
int cl_map_allocations_from(size_t bytes);

/// Keeps malloc to so many arenas: each has memory of its own that others do not use.
void cl_limit_arenas(int count);

/// Gives memory that malloc keeps for later back to the system.
void cl_trim_memory(void);

#endif
