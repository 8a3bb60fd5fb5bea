// SPDX-License-Identifier: Apache-2.0
//
// Causal softmax over one block of queries and its gradient. Only the sum of exponentials is kept between the
// passes (Dao et al. 2022): the backward pass computes the probabilities again.

/// The columns that row `row` sees: from begin to before end.
typedef struct span {
    long begin, end;
} span;

INLINE span visible(long first, long row, long window, long cols) {
    const long last = first + row, end = last + 1 < cols ? last + 1 : cols;
    const long begin = last < window ? 0 : last - window + 1;
    return (span){begin < end ? begin : end, end};
}

/// Zeroes what lies outside of `seen`.
INLINE void hide(float *row, span seen, long cols) {
    memset(row, 0, (size_t)seen.begin * sizeof(float));
    memset(row + seen.end, 0, (size_t)(cols - seen.end) * sizeof(float));
}

static void attention_softmax(float *scores, long ld_s, float *log_sum, long rows, long cols, long first,
    long window, float factor) {
    for (long row = 0; row < rows; row++, scores += ld_s) {
        const span seen = visible(first, row, window, cols);
        float *x = scores + seen.begin;
        const long n = seen.end - seen.begin;
        const lanes f = factor, m = -(maximum(x, n) * factor);
        float sum;
        EACH(n, st(x + i, exponential_lanes(FMA(ld(x + i, k), f, m)), k));
        SUM(sum, n, ld(x + i, k), (lanes)1.0f);
        log_sum[row] = logf(sum) - m[0];
        const lanes inverse = 1.0f / sum;
        EACH(n, st(x + i, ld(x + i, k) * inverse, k));
        hide(scores, seen, cols);
    }
}

static void attention_probabilities(float *scores, long ld_s, const float *log_sum, long rows, long cols,
    long first, long window, float factor) {
    for (long row = 0; row < rows; row++, scores += ld_s) {
        const span seen = visible(first, row, window, cols);
        float *x = scores + seen.begin;
        const lanes f = factor, m = -log_sum[row];
        EACH(seen.end - seen.begin, st(x + i, exponential_lanes(FMA(ld(x + i, k), f, m)), k));
        hide(scores, seen, cols);
    }
}

static void attention_backward(float *d_scores, const float *p, long ld_s, const float *delta, long rows,
    long cols, long first, long window, float factor) {
    for (long row = 0; row < rows; row++, d_scores += ld_s, p += ld_s) {
        const span seen = visible(first, row, window, cols);
        float *d = d_scores + seen.begin;
        const float *q = p + seen.begin;
        const lanes c = delta[row], f = factor;
        EACH(seen.end - seen.begin, st(d + i, ld(q + i, k) * (ld(d + i, k) - c) * f, k));
        hide(d_scores, seen, cols);
    }
}
