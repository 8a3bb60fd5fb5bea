// SPDX-License-Identifier: Apache-2.0
//
// Panels of pairs of bfloat16 for matrix products: where a panel of f32 has one value of k, these have those of an even k
// and of the next one, 16 bits each. Two values of k are multiplied and added at once.

/// s + a · b, first the even places, then the odd ones.
INLINE lanes pair_multiply_add(float a, lanes b, lanes s) {
    return BITS(lanes, _mm512_dpbf16_ps(BITS(__m512, s), BITS(__m512bh, b), BITS(__m512bh, (lanes)a)));
}
#define MULTIPLY_ADD(a, b, s) pair_multiply_add(a, b, s)

/// Sixteen values rounded; in memory they are eight pairs.
INLINE eight pairs_in_order(lanes x) { return BITS(eight, _mm512_cvtneps_pbh(BITS(__m512, x))); }

/// Sixteen pairs of two rows.
INLINE lanes pairs_of(lanes even, lanes odd) {
    const words low = __builtin_convertvector(BITS(halves, _mm512_cvtneps_pbh(BITS(__m512, even))), words);
    const words high = __builtin_convertvector(BITS(halves, _mm512_cvtneps_pbh(BITS(__m512, odd))), words);
    return BITS(lanes, low | high << 16);
}

/// Loads k <= 16 floats and touches no others; missing lanes are 0.
INLINE lanes ld_first(const float *p, long k) {
    return BITS(lanes, _mm512_maskz_loadu_ps((__mmask16)((1u << k) - 1), p));
}

INLINE void st_first(float *p, lanes v, long k) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << k) - 1), BITS(__m512, v)); }

/// One panel of `rows` <= width rows at x, whose values lie in order of k.
INLINE void pack_rows(float *p, const float *x, long ld_x, long rows, long k, const long width) {
    const long pairs = (k + 1) / 2;
    long i = 0;
    // Eight pairs of eight rows at a time. Where width is no multiple of eight, the stores of its last rows run over into the
    // place of the next pairs, which are stored later; the panel's last pairs come by themselves.
    if (rows == width)
        for (; 2 * (i + 8) <= k && (width % 8 == 0 || i + 8 < pairs); i += 8)
            for (long row = (width - 1) / 8 * 8; row >= 0; row -= 8) {
                eight v[8];
                for (long j = 0; j < 8; j++) {
                    const float *const source = x + (row + j) * ld_x + 2 * i;
                    __builtin_prefetch(source + 96);
                    v[j] = row + j < width ? pairs_in_order(ld(source, 16)) : (eight)0.0f;
                }
                transpose_eight(v);
                for (long j = 0; j < 8; j++) *(unaligned_eight *)(p + (i + j) * width + row) = v[j];
            }
    for (; i < pairs; i++) {
        const int whole = 2 * i + 1 < k;
        for (long row = 0; row < width; row++) {
            lanes two = 0;
            if (row < rows) two = ld_first(x + row * ld_x + 2 * i, whole ? 2 : 1);
            p[i * width + row] = pairs_in_order(two)[0];
        }
    }
}

/// One panel of `rows` <= width rows where x has the values of one k side by side.
INLINE void pack_columns(float *p, const float *x, long ld_x, long rows, long k, const long width) {
    for (long i = 0; i < k; i += 2, p += width, x += 2 * ld_x) {
        const int whole = i + 1 < k;
        for (long j = 0; j < width; j += 16) {
            const long stored = width - j < 16 ? width - j : 16;
            const long there = rows < j ? 0 : rows - j < stored ? rows - j : stored;
            __builtin_prefetch(x + 8 * ld_x + j);
            __builtin_prefetch(x + 9 * ld_x + j);
            st_first(p + j, pairs_of(ld_first(x + j, there), ld_first(x + ld_x + j, whole ? there : 0)), stored);
        }
    }
}

/// Panels of `rows` rows in all, where x holds one row after the other or, transposed, the values of one k.
INLINE void pack(float *p, const float *x, long ld_x, int32_t transposed, long rows, long k, const long width) {
    const long size = width * ((k + 1) / 2);
    if (!transposed) {
        for (; rows > 0; rows -= width, x += width * ld_x, p += size)
            pack_rows(p, x, ld_x, rows < width ? rows : width, k, width);
        return;
    }
    // As many panels at once as make a few whole cache lines of a source row.
    const long several = width < 16 ? 8 : 4;
    for (; rows >= several * width; rows -= several * width, x += several * width, p += several * size)
        for (long i = 0; i < k; i += 2)
            for (long panel = 0; panel < several; panel++)
                pack_columns(p + panel * size + i / 2 * width, x + i * ld_x + panel * width, ld_x, width,
                    k - i < 2 ? 1 : 2, width);
    for (; rows > 0; rows -= width, x += width, p += size)
        pack_columns(p, x, ld_x, rows < width ? rows : width, k, width);
}

static void gemm_pack_left(float *p, const float *a, long ld_a, int32_t transposed, long m, long k) {
    pack(p, a, ld_a, transposed, m, k, MR);
}

static void gemm_pack_right(float *p, const float *b, long ld_b, int32_t transposed, long n, long k) {
    // b is (k, n): it has the values of one k side by side unless it is transposed.
    pack(p, b, ld_b, !transposed, n, k, NR);
}
