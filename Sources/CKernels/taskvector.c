// SPDX-License-Identifier: Apache-2.0
//
// Task-vector arithmetic at each level; the arithmetic itself is in body/taskvector.h.

#include "ckernels_taskvector.h"
#include "ckernels.h"
#include <stdint.h>
#include <string.h>

// Three roundings: a multiplication and a subtraction must not fuse, whatever the flags.
#pragma clang fp contract(off)

enum { TV_BLOCK = 1024 };

#define TV(name) name##_scalar
#include "body/taskvector.h"
#undef TV

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define TV(name) name##_avx2
#include "body/taskvector.h"
#undef TV
#pragma clang attribute pop

#pragma clang attribute push(                                                                                    \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#define TV(name) name##_avx512
#include "body/taskvector.h"
#undef TV
#pragma clang attribute pop
#endif

void ck_task_vector(int level, int target_type, void *target, int finetuned_type, const void *finetuned,
    int base_type, const void *base, size_t count, double scale) {
#if defined(__x86_64__)
    const int best = ck_best_level();
    const int chosen = level < best ? level : best;
    if (chosen == CK_LEVEL_AVX512) {
        edit_avx512(target_type, target, finetuned_type, finetuned, base_type, base, count, scale);
        return;
    }
    if (chosen == CK_LEVEL_AVX2) {
        edit_avx2(target_type, target, finetuned_type, finetuned, base_type, base, count, scale);
        return;
    }
#endif
    (void)level;
    edit_scalar(target_type, target, finetuned_type, finetuned, base_type, base, count, scale);
}

void ck_task_vector_sizes_f32(int level, uint32_t *sizes, int target_type, const void *target, int finetuned_type,
    const void *finetuned, int base_type, const void *base, size_t count) {
#if defined(__x86_64__)
    const int best = ck_best_level();
    const int chosen = level < best ? level : best;
    if (chosen == CK_LEVEL_AVX512) {
        sizes_f32_avx512(sizes, target_type, target, finetuned_type, finetuned, base_type, base, count);
        return;
    }
    if (chosen == CK_LEVEL_AVX2) {
        sizes_f32_avx2(sizes, target_type, target, finetuned_type, finetuned, base_type, base, count);
        return;
    }
#endif
    (void)level;
    sizes_f32_scalar(sizes, target_type, target, finetuned_type, finetuned, base_type, base, count);
}

void ck_task_vector_sizes_f64(int level, uint64_t *sizes, int target_type, const void *target, int finetuned_type,
    const void *finetuned, int base_type, const void *base, size_t count) {
#if defined(__x86_64__)
    const int best = ck_best_level();
    const int chosen = level < best ? level : best;
    if (chosen == CK_LEVEL_AVX512) {
        sizes_f64_avx512(sizes, target_type, target, finetuned_type, finetuned, base_type, base, count);
        return;
    }
    if (chosen == CK_LEVEL_AVX2) {
        sizes_f64_avx2(sizes, target_type, target, finetuned_type, finetuned, base_type, base, count);
        return;
    }
#endif
    (void)level;
    sizes_f64_scalar(sizes, target_type, target, finetuned_type, finetuned, base_type, base, count);
}
