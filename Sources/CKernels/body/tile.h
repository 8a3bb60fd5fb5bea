// SPDX-License-Identifier: Apache-2.0
//
// What packing and multiplying share: the tile that the registers of a level hold, and blocks of eight by eight values.

/// CK_GEMM_ROWS x 16 * CK_GEMM_VECTORS.
enum { MR = CK_GEMM_ROWS, NV = CK_GEMM_VECTORS, NR = 16 * NV };

/// Unrolled whole, so that what it works on stays in registers.
#define UNROLLED _Pragma("clang loop unroll(full)")

typedef float eight __attribute__((ext_vector_type(8)));
typedef eight unaligned_eight __attribute__((aligned(4), may_alias));

/// Columns become rows: x[i][j] = old x[j][i].
INLINE void transpose_eight(eight x[8]) {
    eight t[8], u[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = __builtin_shufflevector(x[i], x[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        t[i + 1] = __builtin_shufflevector(x[i], x[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            u[i + 2 * j] = __builtin_shufflevector(t[i + j], t[i + 2 + j], 0, 1, 8, 9, 4, 5, 12, 13);
            u[i + 2 * j + 1] = __builtin_shufflevector(t[i + j], t[i + 2 + j], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int i = 0; i < 4; i++) {
        x[i] = __builtin_shufflevector(u[i], u[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        x[i + 4] = __builtin_shufflevector(u[i], u[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}
