// SPDX-License-Identifier: Apache-2.0
//
// The few calls of NVIDIA's driver, of its run-time compiler and of cuBLASLt that the engine makes, found in the libraries of
// the machine when somebody asks for a card: neither a build nor a job without a card needs any of them, and no header of
// CUDA is used. Declared here after the public documentation of CUDA 12: pointers to memory of the card are 64-bit numbers,
// contexts, streams and modules are pointers to something opaque, and every call returns 0 for success.
#ifndef CCUDA_H
#define CCUDA_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// The driver (libcuda.so.1).
typedef struct cc_driver {
    int (*begin)(unsigned int);
    int (*driver_version)(int *);
    int (*device_count)(int *);
    int (*device)(int *, int);
    int (*device_name)(char *, int, int);
    int (*device_memory)(size_t *, int);
    int (*device_attribute)(int *, int, int);
    int (*retain_context)(void *_Nullable *_Nonnull, int);
    int (*release_context)(int);
    int (*set_context)(void *_Nullable);
    int (*memory_info)(size_t *, size_t *);
    int (*allocate)(uint64_t *, size_t);
    int (*release)(uint64_t);
    int (*upload)(uint64_t, const void *, size_t, void *_Nullable);
    int (*download)(void *, uint64_t, size_t, void *_Nullable);
    int (*fill)(uint64_t, unsigned char, size_t, void *_Nullable);
    int (*create_stream)(void *_Nullable *_Nonnull, unsigned int);
    int (*destroy_stream)(void *);
    int (*wait)(void *_Nullable);
    int (*load_module)(void *_Nullable *_Nonnull, const void *);
    int (*unload_module)(void *);
    int (*function)(void *_Nullable *_Nonnull, void *, const char *);
    int (*set_function_attribute)(void *, int, int);
    int (*launch)(void *, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int,
        void *_Nullable, void *_Nullable *_Nullable, void *_Nullable *_Nullable);
    int (*error_name)(int, const char *_Nullable *_Nonnull);
    int (*error_text)(int, const char *_Nullable *_Nonnull);
} cc_driver;

/// The compiler (NVRTC).
typedef struct cc_compiler {
    int (*version)(int *, int *);
    int (*create)(void *_Nullable *_Nonnull, const char *, const char *, int, const char *const _Nullable *_Nullable,
        const char *const _Nullable *_Nullable);
    int (*destroy)(void *_Nullable *_Nonnull);
    int (*compile)(void *, int, const char *const _Nullable *_Nullable);
    int (*log_size)(void *, size_t *);
    int (*log)(void *, char *);
    int (*image_size)(void *, size_t *);
    int (*image)(void *, char *);
    const char *_Nullable (*_Nonnull error_text)(int);
} cc_compiler;

/// What cublasLtMatmulAlgoGetHeuristic tells of one algorithm.
typedef struct cc_algorithm {
    uint64_t data[8];
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
} cc_algorithm;

/// Matrix products (cuBLASLt).
typedef struct cc_products {
    size_t (*version)(void);
    int (*create)(void *_Nullable *_Nonnull);
    int (*destroy)(void *);
    int (*create_product)(void *_Nullable *_Nonnull, int, int);
    int (*destroy_product)(void *);
    int (*set_product)(void *, int, const void *, size_t);
    int (*create_matrix)(void *_Nullable *_Nonnull, int, uint64_t, uint64_t, int64_t);
    int (*destroy_matrix)(void *);
    int (*create_wishes)(void *_Nullable *_Nonnull);
    int (*destroy_wishes)(void *);
    int (*set_wishes)(void *, int, const void *, size_t);
    int (*choose)(void *, void *, void *, void *, void *, void *, void *, int, cc_algorithm *, int *);
    int (*multiply)(void *, void *, const void *, const void *, void *, const void *, void *, const void *, const void *,
        void *, void *, void *, const void *, void *, size_t, void *_Nullable);
    const char *_Nullable (*_Nonnull error_text)(int);
} cc_products;

/// Numbers of the interfaces above.
enum {
    CC_ATTRIBUTE_PROCESSORS = 16,
    CC_ATTRIBUTE_MAJOR = 75,
    CC_ATTRIBUTE_MINOR = 76,
    CC_ATTRIBUTE_SHARED_MEMORY = 97,
    CC_FUNCTION_SHARED_MEMORY = 8,
    CC_STREAM_NON_BLOCKING = 1,
    CC_OUT_OF_MEMORY = 2,
    CC_COMPUTE_F32 = 68,
    CC_F32 = 0,
    CC_BF16 = 14,
    CC_PRODUCT_TRANSPOSES_A = 3,
    CC_PRODUCT_TRANSPOSES_B = 4,
    CC_PRODUCT_EPILOGUE = 7,
    CC_PRODUCT_BIAS = 8,
    CC_EPILOGUE_NONE = 1,
    CC_EPILOGUE_BIAS = 4,
    CC_WISH_WORKSPACE = 1,
    CC_WISH_ALIGNMENT_A = 5,
};

/// Opens a library under the first of its names that is there: in each folder of `folders` (separated by colons, may be
/// null), then wherever the system looks. Returns null with a reason of less than `size` bytes.
void *_Nullable cc_open(const char *const _Nonnull *_Nonnull names, size_t count, const char *_Nullable folders, char *reason, size_t size);

/// Find the calls in an open library. Return null, or the name of a call that it lacks.
const char *_Nullable cc_find_driver(void *library, cc_driver *driver);
const char *_Nullable cc_find_compiler(void *library, cc_compiler *compiler);
const char *_Nullable cc_find_products(void *library, cc_products *products);

/// A part of the kernels' text, or null behind the last one: all parts together are one program for the compiler.
const char *_Nullable cc_kernels(size_t part);

#pragma clang assume_nonnull end

#endif
