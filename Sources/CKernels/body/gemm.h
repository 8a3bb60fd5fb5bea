// SPDX-License-Identifier: Apache-2.0
//
// Matrix products of packed panels (Goto and van de Geijn 2008). A panel holds `width` rows of one operand side by
// side, so that the innermost loop reads memory in order: (k, width), missing rows zero.
//
// An element of the product is one chain of fused multiply-adds over k in ascending order, whatever the tile it
// falls into. So all vector levels give the same bits, though their tiles differ in size.

/// The tile that the registers of a level hold: CK_GEMM_ROWS x 16 * CK_GEMM_VECTORS.
enum { MR = CK_GEMM_ROWS, NV = CK_GEMM_VECTORS, NR = 16 * NV };

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

/// One panel of `rows` <= width rows at x, whose values lie in order of k.
INLINE void pack_rows(float *p, const float *x, long ld_x, long rows, long k, const long width) {
    long i = 0;
    if (rows == width)
        // Eight values of eight rows at a time. Where width is no multiple of eight, the stores of its last rows run
        // over into the place of the next values, which are stored later; the panel's last values come by themselves.
        for (; i + 8 < k || (width % 8 == 0 && i + 8 <= k); i += 8)
            for (long row = (width - 1) / 8 * 8; row >= 0; row -= 8) {
                eight v[8];
                for (long j = 0; j < 8; j++) {
                    __builtin_prefetch(x + (row + j) * ld_x + i + 96);
                    v[j] = row + j < width ? *(const unaligned_eight *)(x + (row + j) * ld_x + i) : (eight)0.0f;
                }
                transpose_eight(v);
                for (long j = 0; j < 8; j++) *(unaligned_eight *)(p + (i + j) * width + row) = v[j];
            }
    for (; i < k; i++)
        for (long row = 0; row < width; row++) p[i * width + row] = row < rows ? x[row * ld_x + i] : 0;
}

/// Panels of `rows` rows in all, where x holds one row after the other or, transposed, the values of one k.
INLINE void pack(float *p, const float *x, long ld_x, int32_t transposed, long rows, long k, const long width) {
    if (!transposed) {
        for (; rows > 0; rows -= width, x += width * ld_x, p += width * k)
            pack_rows(p, x, ld_x, rows < width ? rows : width, k, width);
        return;
    }
    // As many panels at once as make a few whole cache lines of a source row.
    const long several = width < 16 ? 8 : 4;
    for (; rows >= several * width; rows -= several * width, x += several * width, p += several * width * k)
        for (long i = 0; i < k; i++)
            for (long panel = 0; panel < several; panel++) {
                const float *const source = x + i * ld_x + panel * width;
                for (long j = 0; j < width; j += 16) __builtin_prefetch(source + 8 * ld_x + j);
                memcpy(p + (panel * k + i) * width, source, (size_t)width * sizeof(float));
            }
    for (; rows > 0; rows -= width, x += width, p += width * k) {
        const long n = rows < width ? rows : width;
        for (long i = 0; i < k; i++) {
            if (n == width) memcpy(p + i * width, x + i * ld_x, (size_t)width * sizeof(float));
            else
                for (long row = 0; row < width; row++) p[i * width + row] = row < n ? x[i * ld_x + row] : 0;
        }
    }
}

static void gemm_pack_left(float *p, const float *a, long ld_a, int32_t transposed, long m, long k) {
    pack(p, a, ld_a, transposed, m, k, MR);
}

static void gemm_pack_right(float *p, const float *b, long ld_b, int32_t transposed, long n, long k) {
    // b is (k, n): it has the values of one k side by side unless it is transposed.
    pack(p, b, ld_b, !transposed, n, k, NR);
}

/// Unrolled whole, so that the sums stay in registers.
#define UNROLLED _Pragma("clang loop unroll(full)")

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
            UNROLLED for (int v = 0; v < NV; v++) s[i][v] = FMA((lanes)a[i], right[v], s[i][v]);         \
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

/// The same for all rows of a panel, and for the first ones of the last panel where it has no more.
#define TILE(name, rows)                                                                                 \
    static __attribute__((noinline)) void name(long k, const float *a, const float *b, float *c,         \
        long ld_c, const float *initial, long ld_initial, const float *bias, const float *next,          \
        const float *ahead) {                                                                            \
        gemm_rows_of(rows, k, a, b, c, ld_c, initial, ld_initial, bias, next, ahead);                    \
    }
enum { MOST_OF_MR = (MR + 2) / 2, FEW_OF_MR = (MR + 2) / 4 };
TILE(gemm_tile, MR)
TILE(gemm_tile_half, MOST_OF_MR)
TILE(gemm_tile_few, FEW_OF_MR)
#undef TILE

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
            float tile[MR * NR] __attribute__((aligned(64)));
            memset(tile, 0, sizeof tile);
            for (long i = 0; i < rows; i++)
                for (long j = 0; j < columns; j++)
                    tile[i * NR + j] = (start ? start[i * ld_initial + j] : 0) + (shift ? shift[j] : 0);
            (rows <= FEW_OF_MR ? gemm_tile_few : rows <= MOST_OF_MR ? gemm_tile_half : gemm_tile)(
                k, a + row * k, panel, tile, NR, tile, NR, NULL, tile, ahead);
            for (long i = 0; i < rows; i++)
                memcpy(target + i * ld_c, tile + i * NR, (size_t)columns * sizeof(float));
        }
    }
}

static float spin(long rounds) {
    lanes s[MR][NV], total = 0;
    const lanes factor = 0.999f, term = 0.001f;
    UNROLLED for (int i = 0; i < MR; i++)
        UNROLLED for (int v = 0; v < NV; v++) s[i][v] = (float)(i + MR * v);
#pragma clang loop unroll_count(4)
    for (; rounds > 0; rounds--)
        UNROLLED for (int i = 0; i < MR; i++)
            UNROLLED for (int v = 0; v < NV; v++) s[i][v] = FMA(s[i][v], factor, term);
    UNROLLED for (int i = 0; i < MR; i++)
        UNROLLED for (int v = 0; v < NV; v++) total += s[i][v];
    return lanes_sum(total);
}
