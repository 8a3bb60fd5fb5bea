// SPDX-License-Identifier: Apache-2.0

// Task-vector arithmetic on stored elements: target - scale * (finetuned - base).
//
// Three roundings and no fused multiply-add: d = fl(finetuned - base), p = fl(scale * d), r = fl(target - p), in
// double if the target is double, else in single precision; r is rounded once to the target's type (nearest, ties
// to even). Where r is NaN, a target that was NaN keeps its bits and any other gets the type's positive quiet NaN,
// so that the result never depends on how a processor propagates payloads. All levels give the same bits.

#ifndef CKERNELS_TASKVECTOR_H
#define CKERNELS_TASKVECTOR_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

enum { CK_TASKVECTOR_F16 = 0, CK_TASKVECTOR_BF16 = 1, CK_TASKVECTOR_F32 = 2, CK_TASKVECTOR_F64 = 3 };

/// Edits `count` elements of `target` in place.
///
/// Every pointer may be unaligned; the buffers must not overlap. `base` null stands for the target's values before
/// the edit. `level` is one of CK_LEVEL_…; one that this processor lacks falls back to the best one it has.
void ck_task_vector(int level, int target_type, void *target, int finetuned_type, const void *finetuned,
    int base_type, const void *_Nullable base, size_t count, double scale);

/// Writes the bits of |d|, d = fl(finetuned - base), to `sizes`: as integers they are ordered as the magnitudes
/// are, with NaN above infinity. What is read is as for `ck_task_vector`, in single precision.
void ck_task_vector_sizes_f32(int level, uint32_t *sizes, int target_type, const void *target, int finetuned_type,
    const void *finetuned, int base_type, const void *_Nullable base, size_t count);

/// The same in double precision, for F64 targets.
void ck_task_vector_sizes_f64(int level, uint64_t *sizes, int target_type, const void *target, int finetuned_type,
    const void *finetuned, int base_type, const void *_Nullable base, size_t count);

#pragma clang assume_nonnull end

#endif
