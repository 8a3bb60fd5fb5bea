// SPDX-License-Identifier: Apache-2.0
//
// Matrix products of pairs of bfloat16, for AVX512_BF16.

#if defined(__x86_64__)
#include <immintrin.h>
#define CK_GEMM_ROWS 14
#define CK_GEMM_VECTORS 2
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,f16c"))), apply_to = function)
#include "body/lanes.h"
#include "body/tile.h"

#include "body/pairs.h"

#include "body/gemm.h"
#include "body/spin.h"

const ck_pair_kernels ck_pair_kernels_avx512 = {
    .gemm_rows = MR,
    .gemm_columns = NR,
    .gemm_pack_left = gemm_pack_left,
    .gemm_pack_right = gemm_pack_right,
    .gemm_block = gemm_block,
    .spin = spin,
    .spin_operations = MR * NR * 4,
};
#pragma clang attribute pop
#endif
