// SPDX-License-Identifier: Apache-2.0
//
// The vector kernels compiled for AVX2.

#if defined(__x86_64__)
#define CK_TABLE ck_kernels_avx2
#define CK_TABLE_LEVEL CK_LEVEL_AVX2
#define CK_TABLE_NAME "avx2"
#define CK_GEMM_ROWS 6
#define CK_GEMM_VECTORS 1
#define CK_THIN_ROWS 4
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "body/table.h"
#pragma clang attribute pop
#endif
