// SPDX-License-Identifier: Apache-2.0

#include "cmpi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/// MPI_THREAD_SERIALIZED: one thread at a time calls.
enum { SERIALIZED = 2 };

int cm_open(cm_library *library, char *reason, size_t size) {
    memset(library, 0, sizeof *library);
    // Its plugins look for the library's symbols among the process's own.
    library->handle = dlopen("libmpi.so.40", RTLD_NOW | RTLD_GLOBAL);
    if (!library->handle) {
        snprintf(reason, size, "%s", dlerror());
        return -1;
    }
    const struct {
        const char *name;
        void **place;
    } symbols[] = {
        {"ompi_mpi_comm_world", &library->world},
        {"ompi_mpi_byte", &library->byte},
        {"ompi_mpi_errors_return", &library->errors_return},
        {"MPI_Init_thread", (void **)&library->init_thread},
        {"MPI_Comm_set_errhandler", (void **)&library->set_errhandler},
        {"MPI_Comm_rank", (void **)&library->comm_rank},
        {"MPI_Comm_size", (void **)&library->comm_size},
        {"MPI_Isend", (void **)&library->isend},
        {"MPI_Irecv", (void **)&library->irecv},
        {"MPI_Testall", (void **)&library->testall},
        {"MPI_Cancel", (void **)&library->cancel},
        {"MPI_Request_free", (void **)&library->request_free},
        {"MPI_Error_string", (void **)&library->error_string},
        {"MPI_Abort", (void **)&library->abort},
        {"MPI_Finalize", (void **)&library->finalize},
    };
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        *symbols[i].place = dlsym(library->handle, symbols[i].name);
        if (!*symbols[i].place) {
            snprintf(reason, size, "libmpi.so.40 has no %s", symbols[i].name);
            return -1;
        }
    }
    return 0;
}

int cm_begin(const cm_library *library, int *rank, int *count, int *threads) {
    int provided = 0;
    int code = library->init_thread(NULL, NULL, SERIALIZED, &provided);
    *threads = provided >= SERIALIZED;
    if (!code) code = library->set_errhandler(library->world, library->errors_return);
    if (!code) code = library->comm_rank(library->world, rank);
    if (!code) code = library->comm_size(library->world, count);
    return code;
}

int cm_send(const cm_library *library, const void *from, int bytes, int rank, int tag, void **request) {
    return library->isend(from, bytes, library->byte, rank, tag, library->world, request);
}

int cm_receive(const cm_library *library, void *into, int bytes, int rank, int tag, void **request) {
    return library->irecv(into, bytes, library->byte, rank, tag, library->world, request);
}

int cm_test(const cm_library *library, void **requests, int count, int *done) {
    // A null pointer is MPI_STATUS_IGNORE and MPI_STATUSES_IGNORE.
    return library->testall(count, requests, done, NULL);
}

int cm_forget(const cm_library *library, void **request) {
    int code = library->cancel(request);
    return code ? code : library->request_free(request);
}

void cm_describe(const cm_library *library, int code, char *text, size_t size) {
    int length = 0;
    char words[512] = "";
    if (library->error_string(code, words, &length)) snprintf(words, sizeof words, "error %d", code);
    snprintf(text, size, "%s", words);
}

void cm_abort(const cm_library *library, int status) { library->abort(library->world, status); }

int cm_end(const cm_library *library) { return library->finalize(); }
