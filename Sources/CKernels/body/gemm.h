// SPDX-License-Identifier: Apache-2.0
//
// Matrix products of packed panels (Goto and van de Geijn 2008), of f32 values or of pairs of bfloat16.
//
// An element of the product is one chain of fused multiply-adds over k in ascending order, whatever the tile it
// falls into. So all vector levels give the same bits, though their tiles differ in size.

/// s + a · b for a value of the left panel and sixteen of the right one.
#ifndef MULTIPLY_ADD
#define MULTIPLY_ADD(a, b, s) FMA((lanes)(a), b, s)
#endif

/// c(rows,NR) = initial + bias + a · b for the first rows of a panel. Meanwhile `next`, a tile of the same stride, comes
/// into the first cache, and some of what is at `ahead` into the second.
INLINE void gemm_rows_of(const int rows, long k, const float *a, const float *b, float *c, long ld_c,
    const float *initial, long ld_initial, const float *bias, const float *next, const float *ahead) {
    lanes s[MR][NV];
    UNROLLED for (int i = 0; i < rows; i++)
        UNROLLED for (int v = 0; v < NV; v++)
            s[i][v] = initial ? ld(initial + i * ld_initial + 16 * v, 16) : (lanes)0.0f;
    if (bias)
        UNROLLED for (int i = 0; i < rows; i++)
            UNROLLED for (int v = 0; v < NV; v++) s[i][v] += ld(bias + 16 * v, 16);
#define STEP                                                                                             \
    do {                                                                                                 \
        lanes right[NV];                                                                                 \
        UNROLLED for (int v = 0; v < NV; v++) right[v] = ld(b + 16 * v, 16);                             \
        UNROLLED for (int i = 0; i < rows; i++)                                                          \
            UNROLLED for (int v = 0; v < NV; v++) s[i][v] = MULTIPLY_ADD(a[i], right[v], s[i][v]);       \
        a += MR;                                                                                         \
        b += NR;                                                                                         \
    } while (0)
    // One row of the next tile at a time: all at once would have the loads wait that the sums need.
    for (long left = MR; k >= 4; k -= 4) {
        __builtin_prefetch(ahead, 0, 2);
        __builtin_prefetch(ahead + NR / 2, 0, 2);
        ahead += NR;
        __builtin_prefetch(next, 1);
        __builtin_prefetch(next + NR - 1, 1);
        next += --left > 0 ? ld_c : 0;
        STEP;
        STEP;
        STEP;
        STEP;
    }
    for (; k > 0; k--) STEP;
#undef STEP
    UNROLLED for (int i = 0; i < rows; i++)
        UNROLLED for (int v = 0; v < NV; v++) st(c + i * ld_c + 16 * v, s[i][v], 16);
}

/// The same for all rows of a panel, and for fewer.
#define TILE(name, rows)                                                                                 \
    static __attribute__((noinline)) void name(long k, const float *a, const float *b, float *c,         \
        long ld_c, const float *initial, long ld_initial, const float *bias, const float *next,          \
        const float *ahead) {                                                                            \
        gemm_rows_of(rows, k, a, b, c, ld_c, initial, ld_initial, bias, next, ahead);                    \
    }
TILE(gemm_tile, MR)
TILE(gemm_tile_eight, MR < 8 ? MR : 8)
TILE(gemm_tile_four, 4)
TILE(gemm_tile_two, 2)
TILE(gemm_tile_one, 1)
#undef TILE

/// The first rows of a panel that has no more, a few at a time.
static void gemm_last_rows(long rows, long k, const float *a, const float *b, float *c, long ld_c,
    const float *initial, long ld_initial, const float *bias, const float *ahead) {
    for (long left = rows, done; left > 0; left -= done) {
        done = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        (done == 8 ? gemm_tile_eight : done == 4 ? gemm_tile_four : done == 2 ? gemm_tile_two : gemm_tile_one)(
            k, a, b, c, ld_c, initial, ld_initial, bias, c, ahead);
        a += done;
        c += done * ld_c;
        if (initial) initial += done * ld_initial;
    }
}

static void gemm_block(long m, long n, long k, const float *a, const float *b, float *c, long ld_c,
    const float *initial, long ld_initial, const float *bias) {
    for (long column = 0; column < n; column += NR) {
        const long columns = n - column < NR ? n - column : NR;
        const float *const panel = b + column * k, *const shift = bias ? bias + column : NULL;
        for (long row = 0; row < m; row += MR) {
            const long rows = m - row < MR ? m - row : MR;
            float *const target = c + row * ld_c + column;
            const float *const start = initial ? initial + row * ld_initial + column : NULL;
            // The first tiles fetch the next panel.
            const long tile_number = row / MR;
            const float *const ahead = panel + (tile_number * (k / 4) < k ? NR * (k + tile_number * (k / 4)) : 0);
            if (rows == MR && columns == NR) {
                const float *const next = row + 2 * MR <= m ? target + MR * ld_c : target;
                gemm_tile(k, a + row * k, panel, target, ld_c, start, ld_initial, shift, next, ahead);
                continue;
            }
            if (columns == NR) {
                gemm_last_rows(rows, k, a + row * k, panel, target, ld_c, start, ld_initial, shift, ahead);
                continue;
            }
            float tile[MR * NR] __attribute__((aligned(64)));
            for (long i = 0; i < rows; i++)
                for (long j = 0; j < NR; j++)
                    tile[i * NR + j] =
                        j < columns ? (start ? start[i * ld_initial + j] : 0) + (shift ? shift[j] : 0) : 0;
            if (rows == MR) gemm_tile(k, a + row * k, panel, tile, NR, tile, NR, NULL, tile, ahead);
            else gemm_last_rows(rows, k, a + row * k, panel, tile, NR, tile, NR, NULL, ahead);
            for (long i = 0; i < rows; i++)
                memcpy(target + i * ld_c, tile + i * NR, (size_t)columns * sizeof(float));
        }
    }
}
