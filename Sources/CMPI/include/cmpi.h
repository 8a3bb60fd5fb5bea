// SPDX-License-Identifier: Apache-2.0
//
// The few calls of MPI that ranks need, found in OpenMPI's library at run time: neither a build nor a machine without
// several ranks needs OpenMPI. In versions 4 and 5 (libmpi.so.40) handles are pointers and the predefined ones are symbols;
// that is all of its binary interface that is used here.
#ifndef CMPI_H
#define CMPI_H

#include <stddef.h>

/// OpenMPI, opened. The caller owns it; nothing else is kept.
typedef struct cm_library {
    void *handle, *world, *byte, *errors_return;
    int (*init_thread)(int *, char ***, int, int *);
    int (*set_errhandler)(void *, void *);
    int (*comm_rank)(void *, int *);
    int (*comm_size)(void *, int *);
    int (*isend)(const void *, int, void *, int, int, void *, void **);
    int (*irecv)(void *, int, void *, int, int, void *, void **);
    int (*testall)(int, void **, int *, void *);
    int (*cancel)(void **);
    int (*request_free)(void **);
    int (*error_string)(int, char *, int *);
    int (*abort)(void *, int);
    int (*finalize)(void);
} cm_library;

/// Opens the library. Returns 0, or -1 with a reason of less than `size` bytes.
int cm_open(cm_library *library, char *reason, size_t size);

/// Connects this process with the others of its launch; `threads` tells whether more than the first thread may call, one at a
/// time. All calls return an error code of MPI, 0 for success.
int cm_begin(const cm_library *library, int *rank, int *count, int *threads);

/// Begins to send or to receive `bytes` bytes; `request` stands for it until it is done.
int cm_send(const cm_library *library, const void *from, int bytes, int rank, int tag, void **request);
int cm_receive(const cm_library *library, void *into, int bytes, int rank, int tag, void **request);

/// Moves things on; `done` tells whether all requests are done, which then stand for nothing any more.
int cm_test(const cm_library *library, void **requests, int count, int *done);

/// Gives up a request to receive.
int cm_forget(const cm_library *library, void **request);

/// What an error code means; `text` has room for 256 bytes at least.
void cm_describe(const cm_library *library, int code, char *text, size_t size);

/// Ends all processes of the launch.
void cm_abort(const cm_library *library, int status);

/// Ends in order, once all ranks are here.
int cm_end(const cm_library *library);

#endif
