// SPDX-License-Identifier: Apache-2.0

#include "ccuda.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

void *cc_open(const char *const *names, size_t count, const char *folders, char *reason, size_t size) {
    char path[4096];
    snprintf(reason, size, "%s: not found", names[0]);
    while (folders && *folders) {
        const size_t length = strcspn(folders, ":");
        for (size_t i = 0; i < count; i++) {
            if (snprintf(path, sizeof path, "%.*s/%s", (int)length, folders, names[i]) >= (int)sizeof path) continue;
            void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
            if (handle) return handle;
        }
        folders += length;
        if (*folders) folders++;
    }
    for (size_t i = 0; i < count; i++) {
        void *handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (handle) return handle;
        // Of several names the first is the one to install.
        if (i == 0) snprintf(reason, size, "%s", dlerror());
    }
    return NULL;
}

typedef struct symbol {
    const char *name;
    void *place;
} symbol;

static const char *find(void *library, const symbol *symbols, size_t count) {
    for (size_t i = 0; i < count; i++) {
        void *found = dlsym(library, symbols[i].name);
        if (!found) return symbols[i].name;
        memcpy(symbols[i].place, &found, sizeof found);
    }
    return NULL;
}

const char *cc_find_driver(void *library, cc_driver *d) {
    const symbol symbols[] = {
        {"cuInit", &d->begin},
        {"cuDriverGetVersion", &d->driver_version},
        {"cuDeviceGetCount", &d->device_count},
        {"cuDeviceGet", &d->device},
        {"cuDeviceGetName", &d->device_name},
        {"cuDeviceTotalMem_v2", &d->device_memory},
        {"cuDeviceGetAttribute", &d->device_attribute},
        {"cuDevicePrimaryCtxRetain", &d->retain_context},
        {"cuDevicePrimaryCtxRelease_v2", &d->release_context},
        {"cuCtxSetCurrent", &d->set_context},
        {"cuMemGetInfo_v2", &d->memory_info},
        {"cuMemAlloc_v2", &d->allocate},
        {"cuMemFree_v2", &d->release},
        {"cuMemcpyHtoDAsync_v2", &d->upload},
        {"cuMemcpyDtoHAsync_v2", &d->download},
        {"cuMemsetD8Async", &d->fill},
        {"cuStreamCreate", &d->create_stream},
        {"cuStreamDestroy_v2", &d->destroy_stream},
        {"cuStreamSynchronize", &d->wait},
        {"cuModuleLoadData", &d->load_module},
        {"cuModuleUnload", &d->unload_module},
        {"cuModuleGetFunction", &d->function},
        {"cuFuncSetAttribute", &d->set_function_attribute},
        {"cuLaunchKernel", &d->launch},
        {"cuGetErrorName", &d->error_name},
        {"cuGetErrorString", &d->error_text},
    };
    return find(library, symbols, sizeof symbols / sizeof *symbols);
}

const char *cc_find_compiler(void *library, cc_compiler *c) {
    const symbol symbols[] = {
        {"nvrtcVersion", &c->version},
        {"nvrtcCreateProgram", &c->create},
        {"nvrtcDestroyProgram", &c->destroy},
        {"nvrtcCompileProgram", &c->compile},
        {"nvrtcGetProgramLogSize", &c->log_size},
        {"nvrtcGetProgramLog", &c->log},
        {"nvrtcGetCUBINSize", &c->image_size},
        {"nvrtcGetCUBIN", &c->image},
        {"nvrtcGetErrorString", &c->error_text},
    };
    return find(library, symbols, sizeof symbols / sizeof *symbols);
}

const char *cc_find_products(void *library, cc_products *p) {
    const symbol symbols[] = {
        {"cublasLtGetVersion", &p->version},
        {"cublasLtCreate", &p->create},
        {"cublasLtDestroy", &p->destroy},
        {"cublasLtMatmulDescCreate", &p->create_product},
        {"cublasLtMatmulDescDestroy", &p->destroy_product},
        {"cublasLtMatmulDescSetAttribute", &p->set_product},
        {"cublasLtMatrixLayoutCreate", &p->create_matrix},
        {"cublasLtMatrixLayoutDestroy", &p->destroy_matrix},
        {"cublasLtMatmulPreferenceCreate", &p->create_wishes},
        {"cublasLtMatmulPreferenceDestroy", &p->destroy_wishes},
        {"cublasLtMatmulPreferenceSetAttribute", &p->set_wishes},
        {"cublasLtMatmulAlgoGetHeuristic", &p->choose},
        {"cublasLtMatmul", &p->multiply},
        {"cublasLtGetStatusString", &p->error_text},
    };
    return find(library, symbols, sizeof symbols / sizeof *symbols);
}
