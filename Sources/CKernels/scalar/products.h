// SPDX-License-Identifier: Apache-2.0
//
// Matrix products: few rows, and panels.

/// y(m,n) = initial + x(m,k) · b, whose values lie `along_k` and `along_n` apart.
static void thin(int rounds, long m, long n, long k, const float *x, long ld_x, const float *b, long along_k,
    long along_n, float *y, long ld_y, const float *initial) {
    for (long row = 0; row < m; row++)
        for (long j = 0; j < n; j++) {
            double sum = initial ? (double)initial[row * ld_y + j] : 0;
            for (long i = 0; i < k; i++) {
                float value = b[i * along_k + j * along_n];
                if (rounds) round_bf16(&value, 1);
                sum += (double)x[row * ld_x + i] * value;
            }
            y[row * ld_y + j] = (float)sum;
        }
}

#define PRODUCT(name, rounds, along_k, along_n)                                                          \
    static void name(long m, long n, long k, const float *x, long ld_x, const float *b, long ld,         \
        float *y, long ld_y, const float *initial) {                                                     \
        thin(rounds, m, n, k, x, ld_x, b, along_k, along_n, y, ld_y, initial);                           \
    }
PRODUCT(thin_columns, 0, ld, 1)
PRODUCT(thin_columns_rounded, 1, ld, 1)
PRODUCT(thin_rows, 0, 1, ld)
PRODUCT(thin_rows_rounded, 1, 1, ld)
#undef PRODUCT

static float spin(long rounds) {
    float s = 1;
    for (; rounds > 0; rounds--) s = s * 0.999f + 0.001f;
    return s;
}

/// The tile; the panels of both operands are alike.
enum { MR = 5, NR = MR };

static void gemm_pack_left(float *p, const float *a, long ld, int32_t transposed, long m, long k) {
    for (long row = 0; row < m; row += MR, p += MR * k)
        for (long i = 0; i < k; i++)
            for (long j = 0; j < MR; j++)
                p[i * MR + j] =
                    row + j >= m ? 0 : transposed ? a[i * ld + row + j] : a[(row + j) * ld + i];
}

static void gemm_pack_right(float *p, const float *b, long ld, int32_t transposed, long n, long k) {
    gemm_pack_left(p, b, ld, !transposed, n, k);
}

static void gemm_block(long m, long n, long k, const float *a, const float *b, float *c, long ld_c,
    const float *initial, long ld_initial, const float *bias) {
    for (long i = 0; i < m; i++)
        for (long j = 0; j < n; j++) {
            double sum = (initial ? (double)initial[i * ld_initial + j] : 0) + (bias ? (double)bias[j] : 0);
            const float *x = a + i / MR * MR * k + i % MR;
            const float *y = b + j / NR * NR * k + j % NR;
            for (long l = 0; l < k; l++) sum += (double)x[l * MR] * y[l * NR];
            c[i * ld_c + j] = (float)sum;
        }
}
