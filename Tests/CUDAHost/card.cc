// SPDX-License-Identifier: Apache-2.0
//
// A card that is none: the calls of the CUDA driver, NVRTC and cuBLASLt that the engine makes, on the processor, so that all
// but the card itself can be tested without one. NVRTC's part compiles the kernels' text by a C++ compiler behind kernels.h; allocations end at a page that nobody may touch; products are plain loops with
// sums in f32. Only what the engine calls is here, and only in the forms in which it calls it: anything else fails.
//
// HOST_COMPILER, HOST_SOURCES and HOST_FOLDER say by what the kernels are compiled, where kernels.h is, and where to work.

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

enum { INVALID = 1, NO_MEMORY = 2, NOT_FOUND = 500, NOT_SUPPORTED = 801 };
enum { BLAS_INVALID = 7, BLAS_NOT_SUPPORTED = 15 };

size_t used = 0;
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct locked {
    locked() { pthread_mutex_lock(&lock); }
    ~locked() { pthread_mutex_unlock(&lock); }
};

size_t capacity() {
    const char *text = getenv("CUDA_HOST_MEMORY");
    return text ? strtoull(text, nullptr, 10) : (size_t)8 << 30;
}

struct allocation {
    unsigned char *base, *first;
    size_t size, mapped;
    allocation *next;
} *allocations = nullptr;

struct module {
    void *handle;
    void (*run)(void (*)(void **), void **, const unsigned int *, const unsigned int *);
};

struct function {
    void (*kernel)(void **);
    module *owner;
    int shared;
};

float from_bf16(uint16_t x) {
    const uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

uint16_t to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace

extern "C" {

// MARK: The driver

int cuInit(unsigned int) { return 0; }
int cuDriverGetVersion(int *version) { return *version = 12080, 0; }
int cuDeviceGetCount(int *count) { return *count = getenv("CUDA_HOST_CARDS") ? atoi(getenv("CUDA_HOST_CARDS")) : 1, 0; }
int cuDeviceGet(int *device, int index) { return *device = index, 0; }
int cuDeviceGetName(char *name, int size, int) { return snprintf(name, (size_t)size, "processor"), 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int) { return *bytes = capacity(), 0; }
int cuDeviceGetAttribute(int *value, int attribute, int) {
    switch (attribute) {
    case 75: *value = 9; return 0;
    case 76: *value = 0; return 0;
    case 16: *value = 132; return 0;
    case 97: *value = 227 << 10; return 0;
    default: return INVALID;
    }
}
int cuDevicePrimaryCtxRetain(void **context, int) { return *context = &used, 0; }
int cuDevicePrimaryCtxRelease_v2(int) { return 0; }
int cuCtxSetCurrent(void *) { return 0; }
int cuMemGetInfo_v2(size_t *free, size_t *total) {
    *total = capacity();
    *free = *total - used;
    return 0;
}

int cuMemAlloc_v2(uint64_t *pointer, size_t size) {
    locked held;
    if (size == 0) return INVALID;
    if (used + size > capacity()) return NO_MEMORY;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (size + page - 1) / page * page;
    auto *base = (unsigned char *)mmap(nullptr, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return NO_MEMORY;
    // The end of what is allowed is the end of the pages, but for the alignment; and what nobody wrote is no number.
    memset(base, 0xff, whole);
    if (mprotect(base + whole, page, PROT_NONE)) return NO_MEMORY;
    auto *made = new allocation{base, base + (whole - size) / 256 * 256, size, whole + page, allocations};
    allocations = made;
    used += size;
    *pointer = (uint64_t)made->first;
    return 0;
}

int cuMemFree_v2(uint64_t pointer) {
    locked held;
    for (allocation **place = &allocations; *place; place = &(*place)->next) {
        allocation *found = *place;
        if ((uint64_t)found->first != pointer) continue;
        *place = found->next;
        used -= found->size;
        munmap(found->base, found->mapped);
        delete found;
        return 0;
    }
    return INVALID;
}

int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *) { return memcpy((void *)to, from, size), 0; }
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *) { return memcpy(to, (void *)from, size), 0; }
int cuMemsetD8Async(uint64_t to, unsigned char value, size_t size, void *) { return memset((void *)to, value, size), 0; }
int cuStreamCreate(void **stream, unsigned int) { return *stream = &used, 0; }
int cuStreamDestroy_v2(void *) { return 0; }
int cuStreamSynchronize(void *) { return 0; }

int cuModuleLoadData(void **loaded, const void *image) {
    void *handle = dlopen((const char *)image, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return fprintf(stderr, "%s\n", dlerror()), INVALID;
    auto *made = new module{handle, nullptr};
    *(void **)&made->run = dlsym(handle, "run_grid");
    *loaded = made;
    unlink((const char *)image);
    return 0;
}
int cuModuleUnload(void *loaded) { return dlclose(((module *)loaded)->handle), delete (module *)loaded, 0; }

int cuModuleGetFunction(void **found, void *loaded, const char *name) {
    char symbol[256];
    snprintf(symbol, sizeof symbol, "launched_%s", name);
    void *kernel = dlsym(((module *)loaded)->handle, symbol);
    if (!kernel) return NOT_FOUND;
    *found = new function{(void (*)(void **))kernel, (module *)loaded, 48 << 10};
    return 0;
}
int cuFuncSetAttribute(void *changed, int attribute, int value) {
    if (attribute != 8 || value > 227 << 10) return INVALID;
    ((function *)changed)->shared = value;
    return 0;
}
int cuLaunchKernel(void *launched, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx, unsigned int by,
    unsigned int bz, unsigned int shared, void *, void **values, void **extra) {
    auto *called = (function *)launched;
    if (extra || (int)shared > called->shared || gx == 0 || gy == 0 || gz == 0 || gy > 65535 || gz > 65535) return INVALID;
    const unsigned int grid[3] = {gx, gy, gz}, block[3] = {bx, by, bz};
    called->owner->run(called->kernel, values, grid, block);
    return 0;
}
int cuGetErrorName(int code, const char **text) { return *text = code == NO_MEMORY ? "OUT_OF_MEMORY" : "ERROR", 0; }
int cuGetErrorString(int code, const char **text) { return *text = code == NO_MEMORY ? "out of memory" : "an error", 0; }

// MARK: NVRTC

struct program {
    char *text, *image, *log;
};

int nvrtcVersion(int *major, int *minor) { return *major = 12, *minor = 8, 0; }
int nvrtcCreateProgram(void **made, const char *text, const char *, int, const char *const *, const char *const *) {
    return *made = new program{strdup(text), nullptr, strdup("")}, 0;
}
int nvrtcDestroyProgram(void **made) {
    auto *old = (program *)*made;
    free(old->text), free(old->image), free(old->log);
    delete old;
    return *made = nullptr, 0;
}
int nvrtcCompileProgram(void *made, int count, const char *const *options) {
    auto *self = (program *)made;
    static int number = 0;
    char base[512], command[4096];
    snprintf(base, sizeof base, "%s/kernels-%d-%d", HOST_FOLDER, (int)getpid(), __sync_fetch_and_add(&number, 1));
    char source[600];
    snprintf(source, sizeof source, "%s.cc", base);
    FILE *file = fopen(source, "w");
    if (!file) return 6;
    fprintf(file, "#include \"kernels.h\"\n%s\n", self->text);
    // The kernels' names stand behind the macro that begins them.
    for (const char *next = self->text; (next = strstr(next, "\nKERNEL(")); next++) {
        const char *name = strchr(next + 1, ')');
        if (!name) break;
        for (name++; *name == '\n' || *name == ' ';) name++;
        fprintf(file, "LAUNCHED(%.*s)\n", (int)strcspn(name, "("), name);
    }
    fclose(file);
    int length = snprintf(command, sizeof command,
        "'%s' -x c++ -std=c++17 -O2 -ffp-contract=off -shared -fPIC -fsanitize=alignment -fsanitize-trap=alignment "
        "-Wno-unknown-pragmas -I '%s'", HOST_COMPILER, HOST_SOURCES);
    for (int i = 0; i < count; i++)
        if (!strncmp(options[i], "-D", 2))
            length += snprintf(command + length, sizeof command - (size_t)length, " '%s'", options[i]);
    snprintf(command + length, sizeof command - (size_t)length, " '%s' -o '%s.so' 2>'%s.log'", source, base, base);
    const int status = system(command);
    char path[600];
    snprintf(path, sizeof path, "%s.log", base);
    if (FILE *log = fopen(path, "r")) {
        char text[4096] = "";
        text[fread(text, 1, sizeof text - 1, log)] = 0;
        fclose(log);
        free(self->log);
        self->log = strdup(text);
        unlink(path);
    }
    if (status) return 6;
    unlink(source);
    snprintf(path, sizeof path, "%s.so", base);
    self->image = strdup(path);
    return 0;
}
int nvrtcGetProgramLogSize(void *made, size_t *size) { return *size = strlen(((program *)made)->log) + 1, 0; }
int nvrtcGetProgramLog(void *made, char *text) { return strcpy(text, ((program *)made)->log), 0; }
int nvrtcGetCUBINSize(void *made, size_t *size) { return *size = strlen(((program *)made)->image) + 1, 0; }
int nvrtcGetCUBIN(void *made, char *image) { return strcpy(image, ((program *)made)->image), 0; }
int nvrtcGetPTXSize(void *, size_t *) { return 6; }
int nvrtcGetPTX(void *, char *) { return 6; }
const char *nvrtcGetErrorString(int) { return "an error"; }

// MARK: cuBLASLt

enum { F32 = 0, BF16 = 14 };

struct matrix {
    int type;
    uint64_t rows, columns;
    int64_t stride;
    float get(const void *base, uint64_t row, uint64_t column) const {
        const uint64_t place = column * (uint64_t)stride + row;
        return type == F32 ? ((const float *)base)[place] : from_bf16(((const uint16_t *)base)[place]);
    }
    void set(void *base, uint64_t row, uint64_t column, float value) const {
        const uint64_t place = column * (uint64_t)stride + row;
        if (type == F32) ((float *)base)[place] = value;
        else ((uint16_t *)base)[place] = to_bf16(value);
    }
};

struct product {
    int transposed[2], epilogue;
    const void *bias;
};

struct preference {
    uint64_t workspace;
    uint32_t alignment[4];
};

struct heuristic {
    uint64_t algorithm[8];
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};

size_t cublasLtGetVersion(void) { return 120804; }
int cublasLtCreate(void **handle) { return *handle = &used, 0; }
int cublasLtDestroy(void *) { return 0; }
const char *cublasLtGetStatusString(int status) { return status == BLAS_NOT_SUPPORTED ? "not supported" : "an error"; }
int cublasLtMatmulDescCreate(void **made, int compute, int scale) {
    if (compute != 68 || scale != F32) return BLAS_NOT_SUPPORTED;
    return *made = new product{{0, 0}, 1, nullptr}, 0;
}
int cublasLtMatmulDescDestroy(void *made) { return delete (product *)made, 0; }
int cublasLtMatmulDescSetAttribute(void *made, int attribute, const void *value, size_t size) {
    auto *self = (product *)made;
    if ((attribute == 3 || attribute == 4) && size == 4) return self->transposed[attribute - 3] = *(const int *)value, 0;
    if (attribute == 7 && size == 4) return self->epilogue = *(const int *)value, 0;
    if (attribute == 8 && size == 8) return self->bias = *(const void *const *)value, 0;
    return BLAS_INVALID;
}
int cublasLtMatrixLayoutCreate(void **made, int type, uint64_t rows, uint64_t columns, int64_t stride) {
    if ((type != F32 && type != BF16) || stride < (int64_t)rows) return BLAS_INVALID;
    return *made = new matrix{type, rows, columns, stride}, 0;
}
int cublasLtMatrixLayoutDestroy(void *made) { return delete (matrix *)made, 0; }
int cublasLtMatmulPreferenceCreate(void **made) { return *made = new preference{0, {256, 256, 256, 256}}, 0; }
int cublasLtMatmulPreferenceDestroy(void *made) { return delete (preference *)made, 0; }
int cublasLtMatmulPreferenceSetAttribute(void *made, int attribute, const void *value, size_t size) {
    auto *self = (preference *)made;
    if (attribute == 1 && size == 8) return self->workspace = *(const uint64_t *)value, 0;
    if (attribute >= 5 && attribute <= 8 && size == 4)
        return self->alignment[attribute - 5] = *(const uint32_t *)value, 0;
    return BLAS_INVALID;
}
int cublasLtMatmulAlgoGetHeuristic(void *, void *, void *a, void *b, void *c, void *d, void *wishes, int wanted,
    void *results, int *found) {
    const auto *self = (preference *)wishes;
    const matrix *matrices[4] = {(matrix *)a, (matrix *)b, (matrix *)c, (matrix *)d};
    if (wanted < 1 || matrices[0]->type != BF16 || matrices[1]->type != BF16 || matrices[2]->type != matrices[3]->type)
        return BLAS_NOT_SUPPORTED;
    heuristic best = {};
    // The algorithm carries what it was chosen for, to be held to it.
    for (int i = 0; i < 4; i++) best.algorithm[i] = self->alignment[i];
    best.workspace = (size_t)(self->workspace / 2);
    memcpy(results, &best, sizeof best);
    return *found = 1, 0;
}

int cublasLtMatmul(void *, void *made, const void *alpha, const void *a, void *a_form, const void *b, void *b_form,
    const void *beta, const void *c, void *c_form, void *d, void *d_form, const void *algorithm, void *workspace,
    size_t size, void *) {
    const auto *self = (product *)made;
    const auto &A = *(matrix *)a_form, &B = *(matrix *)b_form, &C = *(matrix *)c_form, &D = *(matrix *)d_form;
    const void *bases[4] = {a, b, c, d};
    for (int i = 0; i < 4; i++)
        if ((uint64_t)bases[i] % ((const uint64_t *)algorithm)[i]) return BLAS_INVALID;
    if (!workspace || size == 0) return BLAS_INVALID;
    const bool ta = self->transposed[0] == 1, tb = self->transposed[1] == 1;
    const uint64_t m = ta ? A.columns : A.rows, k = ta ? A.rows : A.columns, n = tb ? B.rows : B.columns;
    if ((tb ? B.columns : B.rows) != k || D.rows != m || D.columns != n || C.rows != m || C.columns != n ||
        C.stride != D.stride)
        return BLAS_INVALID;
    if (self->epilogue != 1 && (self->epilogue != 4 || !self->bias)) return BLAS_NOT_SUPPORTED;
    const float factor = *(const float *)alpha, share = *(const float *)beta;
    auto *left = (float *)malloc(k * sizeof(float));
    for (uint64_t row = 0; row < m; row++) {
        for (uint64_t i = 0; i < k; i++) left[i] = ta ? A.get(a, i, row) : A.get(a, row, i);
        for (uint64_t column = 0; column < n; column++) {
            float sum = 0;
            for (uint64_t i = 0; i < k; i++) sum += left[i] * (tb ? B.get(b, column, i) : B.get(b, i, column));
            float value = factor * sum;
            if (share != 0) value += share * C.get(c, row, column);
            if (self->epilogue == 4)
                value += D.type == F32 ? ((const float *)self->bias)[row] : from_bf16(((const uint16_t *)self->bias)[row]);
            D.set(d, row, column, value);
        }
    }
    free(left);
    return 0;
}

}  // extern "C"
