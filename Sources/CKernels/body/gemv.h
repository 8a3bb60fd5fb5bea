// SPDX-License-Identifier: Apache-2.0
//
// One row times a matrix, y(n) = initial + x(k) · b(k,n): the matrix is read once, at the speed of memory. Every element
// is summed in an order that depends on k alone, so n may be cut anywhere.

/// Adds x(rows) · b(rows,n), or begins with `initial`: as many streams from memory, and y from the first cache.
INLINE void gemv_add(long n, const long rows, const float *x, const float *b, long ld_b, float *y,
    const float *initial) {
    EACH(n, lanes s = initial ? ld(initial + i, k) : (lanes)0.0f;
         UNROLLED for (long r = 0; r < rows; r++) s = FMA((lanes)x[r], ld(b + r * ld_b + i, k), s);
         st(y + i, s, k));
}

static void gemv_columns(long n, long k, const float *x, const float *b, long ld_b, float *y, const float *initial) {
    for (; k >= 8; k -= 8, x += 8, b += 8 * ld_b) {
        gemv_add(n, 8, x, b, ld_b, y, initial);
        initial = y;
    }
    for (; k > 0; k--, x++, b += ld_b) {
        gemv_add(n, 1, x, b, ld_b, y, initial);
        initial = y;
    }
}

/// `rows` scalar products of x with rows of b at once: as many streams from memory.
INLINE void gemv_dots(long k, const long rows, const float *x, const float *b, long ld_b, float *y,
    const float *initial) {
    lanes s[4][2];
    UNROLLED for (long r = 0; r < rows; r++) s[r][0] = s[r][1] = 0;
    long i = 0;
    for (; i + 32 <= k; i += 32)
        UNROLLED for (long r = 0; r < rows; r++) {
            const float *row = b + r * ld_b + i;
            __builtin_prefetch(row + 128);
            __builtin_prefetch(row + 144);
            s[r][0] = FMA(ld(x + i, 16), ld(row, 16), s[r][0]);
            s[r][1] = FMA(ld(x + i + 16, 16), ld(row + 16, 16), s[r][1]);
        }
    for (; i < k; i += 16) {
        const long left = k - i < 16 ? k - i : 16;
        UNROLLED for (long r = 0; r < rows; r++)
            s[r][0] = FMA(keep(ld(x + i, left), left, 0), keep(ld(b + r * ld_b + i, left), left, 0), s[r][0]);
    }
    UNROLLED for (long r = 0; r < rows; r++) y[r] = lanes_sum(s[r][0] + s[r][1]) + (initial ? initial[r] : 0);
}

static void gemv_rows(long n, long k, const float *x, const float *b, long ld_b, float *y, const float *initial) {
    for (; n >= 4; n -= 4, b += 4 * ld_b, y += 4) {
        gemv_dots(k, 4, x, b, ld_b, y, initial);
        if (initial) initial += 4;
    }
    for (; n > 0; n--, b += ld_b, y++) {
        gemv_dots(k, 1, x, b, ld_b, y, initial);
        if (initial) initial++;
    }
}
