// SPDX-License-Identifier: Apache-2.0
//
// Causal softmax over one block of queries and its gradient. Only the sum of exponentials is kept between the
// passes (Dao et al. 2022): the backward pass computes the probabilities again.

INLINE long visible(long first, long row, long cols) {
    const long n = first + row + 1;
    return n < cols ? n : cols;
}

static void attention_softmax(float *scores, long ld_s, float *log_sum, long rows, long cols, long first,
    float factor) {
    for (long row = 0; row < rows; row++, scores += ld_s) {
        const long n = visible(first, row, cols);
        const lanes f = factor, m = -(maximum(scores, n) * factor);
        float sum;
        EACH(n, st(scores + i, exponential_lanes(FMA(ld(scores + i, k), f, m)), k));
        SUM(sum, n, ld(scores + i, k), (lanes)1.0f);
        log_sum[row] = logf(sum) - m[0];
        const lanes inverse = 1.0f / sum;
        EACH(n, st(scores + i, ld(scores + i, k) * inverse, k));
        memset(scores + n, 0, (size_t)(cols - n) * sizeof(float));
    }
}

static void attention_probabilities(float *scores, long ld_s, const float *log_sum, long rows, long cols,
    long first, float factor) {
    for (long row = 0; row < rows; row++, scores += ld_s) {
        const long n = visible(first, row, cols);
        const lanes f = factor, m = -log_sum[row];
        EACH(n, st(scores + i, exponential_lanes(FMA(ld(scores + i, k), f, m)), k));
        memset(scores + n, 0, (size_t)(cols - n) * sizeof(float));
    }
}

static void attention_backward(float *d_scores, const float *p, long ld_s, const float *delta, long rows,
    long cols, long first, float factor) {
    for (long row = 0; row < rows; row++, d_scores += ld_s, p += ld_s) {
        const long n = visible(first, row, cols);
        const lanes d = delta[row], f = factor;
        EACH(n, st(d_scores + i, ld(p + i, k) * (ld(d_scores + i, k) - d) * f, k));
        memset(d_scores + n, 0, (size_t)(cols - n) * sizeof(float));
    }
}
