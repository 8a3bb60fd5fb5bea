// SPDX-License-Identifier: Apache-2.0
//
// Which level runs is decided here, from what the processor says, and nowhere else. No ifunc: its resolvers
// crash under ThreadSanitizer.

#include "ckernels.h"
#include <stddef.h>

extern const ck_kernels ck_kernels_scalar;
#if defined(__x86_64__)
extern const ck_kernels ck_kernels_avx2;
extern const ck_kernels ck_kernels_avx512;
extern const ck_pair_kernels ck_pair_kernels_avx512;
#endif

int32_t ck_best_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
        && __builtin_cpu_supports("f16c");
    int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return avx512 ? CK_LEVEL_AVX512 : avx2 ? CK_LEVEL_AVX2 : CK_LEVEL_SCALAR;
#else
    return CK_LEVEL_SCALAR;
#endif
}

int32_t ck_has_bfloat16(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return ck_best_level() == CK_LEVEL_AVX512
        && (__builtin_cpu_supports("avx512bf16") || __builtin_cpu_supports("amx-bf16"));
#else
    return 0;
#endif
}

int32_t ck_has_fast_bfloat16(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return ck_has_bfloat16() && (__builtin_cpu_supports("amx-bf16") || !__builtin_cpu_is("intel"));
#else
    return 0;
#endif
}

int32_t ck_has_fast_pairs(void) {
#if defined(__x86_64__)
    return ck_pair_kernels_here() != NULL && !__builtin_cpu_supports("amx-bf16") && !__builtin_cpu_is("intel");
#else
    return 0;
#endif
}

const ck_pair_kernels *ck_pair_kernels_here(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (ck_best_level() == CK_LEVEL_AVX512 && __builtin_cpu_supports("avx512bf16")) return &ck_pair_kernels_avx512;
#endif
    return NULL;
}

const ck_kernels *ck_kernels_at(int32_t level) {
    if (level < 0 || level > ck_best_level()) return NULL;
#if defined(__x86_64__)
    if (level == CK_LEVEL_AVX512) return &ck_kernels_avx512;
    if (level == CK_LEVEL_AVX2) return &ck_kernels_avx2;
#endif
    return &ck_kernels_scalar;
}
