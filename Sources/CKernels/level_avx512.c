// SPDX-License-Identifier: Apache-2.0
//
// The vector kernels compiled for AVX512.

#if defined(__x86_64__)
#define CK_TABLE ck_kernels_avx512
#define CK_TABLE_LEVEL CK_LEVEL_AVX512
#define CK_TABLE_NAME "avx512"
#define CK_GEMM_ROWS 14
#define CK_GEMM_VECTORS 2
#define CK_THIN_ROWS 8
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), apply_to = function)
#include "body/table.h"
#pragma clang attribute pop
#endif
