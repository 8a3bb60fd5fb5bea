// SPDX-License-Identifier: Apache-2.0
//
// A few rows times a matrix, y(m,n) = initial + x(m,k) · b(k,n): the matrix is read from memory once and packed never.
// Every element is summed in an order that depends on k alone: where n is cut, and which rows stand beside each other,
// changes no bit. Where it `rounds`, the values of b are rounded to bfloat16 on the way; those of x were before.

/// Rows of x that share a load of b: as many as the level's registers have sums for, or half of that.
enum { THIN = CK_THIN_ROWS, HALF = THIN / 2 };

/// Adds x(rows,values) · b(values,n), or begins with `initial`: as many streams from memory, and y from the first cache.
/// Where several rows share a load there is time to fetch what is at `ahead`, laid out as b is; for one row alone the
/// processor is faster by itself.
INLINE lanes thin_ld(const float *p, long k, const int rounds) {
    const lanes v = ld(p, k);
    return rounds ? BITS(lanes, brain_bits(v) << 16) : v;
}

INLINE void thin_add(const int rounds, const long rows, long n, const long values, const float *x, long ld_x, const float *b, long ld_b,
    const float *ahead, float *y, long ld_y, const float *initial) {
    EACH(n, lanes right[8];
         UNROLLED for (long r = 0; r < values; r++) {
             if (rows > 1) __builtin_prefetch(ahead + r * ld_b + i);
             right[r] = thin_ld(b + r * ld_b + i, k, rounds);
         }
         UNROLLED for (long row = 0; row < rows; row++) {
             lanes s = initial ? ld(initial + row * ld_y + i, k) : (lanes)0.0f;
             UNROLLED for (long r = 0; r < values; r++) s = FMA((lanes)x[row * ld_x + r], right[r], s);
             st(y + row * ld_y + i, s, k);
         });
}

INLINE void thin_columns_of(const int rounds, const long rows, long n, long k, const float *x, long ld_x, const float *b, long ld_b, float *y,
    long ld_y, const float *initial) {
    for (; k >= 8; k -= 8, x += 8, b += 8 * ld_b) {
        thin_add(rounds, rows, n, 8, x, ld_x, b, ld_b, k >= 16 ? b + 8 * ld_b : b, y, ld_y, initial);
        initial = y;
    }
    for (; k > 0; k--, x++, b += ld_b) {
        thin_add(rounds, rows, n, 1, x, ld_x, b, ld_b, b, y, ld_y, initial);
        initial = y;
    }
}

INLINE void thin_columns_all(const int rounds, long m, long n, long k, const float *x, long ld_x, const float *b, long ld_b, float *y, long ld_y,
    const float *initial) {
    for (; m >= THIN; m -= THIN, x += THIN * ld_x, y += THIN * ld_y) {
        thin_columns_of(rounds, THIN, n, k, x, ld_x, b, ld_b, y, ld_y, initial);
        if (initial) initial += THIN * ld_y;
    }
    for (; m >= HALF; m -= HALF, x += HALF * ld_x, y += HALF * ld_y) {
        thin_columns_of(rounds, HALF, n, k, x, ld_x, b, ld_b, y, ld_y, initial);
        if (initial) initial += HALF * ld_y;
    }
    for (; m > 0; m--, x += ld_x, y += ld_y) {
        thin_columns_of(rounds, 1, n, k, x, ld_x, b, ld_b, y, ld_y, initial);
        if (initial) initial += ld_y;
    }
}

/// How far ahead of its loads b is fetched, floats.
enum { THIN_AHEAD = 256 };

/// The scalar products of `rows` rows of x with the rows of b, one after the other: a single stream from memory is read
/// twice as fast as four beside each other.
INLINE void thin_rows_of(const int rounds, const long rows, long n, long k, const float *x, long ld_x, const float *b, long ld_b, float *y,
    long ld_y, const float *initial) {
    for (; n > 0; n--, b += ld_b, y++) {
        lanes s[THIN][2];
        UNROLLED for (long row = 0; row < rows; row++) s[row][0] = s[row][1] = 0;
        long i = 0;
        for (; i + 32 <= k; i += 32) {
            __builtin_prefetch(b + i + THIN_AHEAD);
            __builtin_prefetch(b + i + THIN_AHEAD + 16);
            const lanes first = thin_ld(b + i, 16, rounds), second = thin_ld(b + i + 16, 16, rounds);
            UNROLLED for (long row = 0; row < rows; row++) {
                s[row][0] = FMA(ld(x + row * ld_x + i, 16), first, s[row][0]);
                s[row][1] = FMA(ld(x + row * ld_x + i + 16, 16), second, s[row][1]);
            }
        }
        for (; i < k; i += 16) {
            const long left = k - i < 16 ? k - i : 16;
            const lanes right = keep(thin_ld(b + i, left, rounds), left, 0);
            UNROLLED for (long row = 0; row < rows; row++)
                s[row][0] = FMA(keep(ld(x + row * ld_x + i, left), left, 0), right, s[row][0]);
        }
        UNROLLED for (long row = 0; row < rows; row++)
            y[row * ld_y] = lanes_sum(s[row][0] + s[row][1]) + (initial ? initial[row * ld_y] : 0);
        if (initial) initial++;
    }
}

INLINE void thin_rows_all(const int rounds, long m, long n, long k, const float *x, long ld_x, const float *b, long ld_b, float *y, long ld_y,
    const float *initial) {
    for (; m >= THIN; m -= THIN, x += THIN * ld_x, y += THIN * ld_y) {
        thin_rows_of(rounds, THIN, n, k, x, ld_x, b, ld_b, y, ld_y, initial);
        if (initial) initial += THIN * ld_y;
    }
    for (; m >= HALF; m -= HALF, x += HALF * ld_x, y += HALF * ld_y) {
        thin_rows_of(rounds, HALF, n, k, x, ld_x, b, ld_b, y, ld_y, initial);
        if (initial) initial += HALF * ld_y;
    }
    for (; m > 0; m--, x += ld_x, y += ld_y) {
        thin_rows_of(rounds, 1, n, k, x, ld_x, b, ld_b, y, ld_y, initial);
        if (initial) initial += ld_y;
    }
}

/// The products of the table, by columns and by rows.
#define PRODUCT(name, all, rounds)                                                                       \
    static void name(long m, long n, long k, const float *x, long ld_x, const float *b, long ld_b,       \
        float *y, long ld_y, const float *initial) {                                                     \
        all(rounds, m, n, k, x, ld_x, b, ld_b, y, ld_y, initial);                                        \
    }
PRODUCT(thin_columns, thin_columns_all, 0)
PRODUCT(thin_columns_rounded, thin_columns_all, 1)
PRODUCT(thin_rows, thin_rows_all, 0)
PRODUCT(thin_rows_rounded, thin_rows_all, 1)
#undef PRODUCT
