// SPDX-License-Identifier: Apache-2.0
//
// Panels of f32 values for matrix products: a panel holds `width` rows of one operand side by side, so that the innermost
// loop reads memory in order: (k, width), missing rows zero.

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
