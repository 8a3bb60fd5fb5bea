// SPDX-License-Identifier: Apache-2.0
//
// Causal softmax over one block of queries and its gradient.

static int visible(long column, long first, long row, long window) {
    return column <= first + row && column > first + row - window;
}

static double log_sum_of(const float *x, long n, double factor) {
    double m = -INFINITY, sum = 0;
    for (long i = 0; i < n; i++) m = x[i] * factor > m ? x[i] * factor : m;
    for (long i = 0; i < n; i++) sum += exp(x[i] * factor - m);
    return log(sum) + m;
}

static void attention_probabilities(float *scores, long ld, const float *log_sum, long rows, long cols,
    long first, long window, float factor) {
    for (long row = 0; row < rows; row++)
        for (long i = 0; i < cols; i++) {
            float *s = scores + row * ld + i;
            *s = visible(i, first, row, window) ? (float)exp(*s * (double)factor - log_sum[row]) : 0;
        }
}

static void attention_softmax(float *scores, long ld, float *log_sum, long rows, long cols, long first,
    long window, float factor) {
    for (long row = 0; row < rows; row++) {
        const long end = first + row + 1 < cols ? first + row + 1 : cols;
        const long begin = first + row < window ? 0 : first + row - window + 1;
        log_sum[row] = (float)log_sum_of(scores + row * ld + begin, end - begin, factor);
    }
    attention_probabilities(scores, ld, log_sum, rows, cols, first, window, factor);
}

static void attention_backward(float *d_scores, const float *p, long ld, const float *delta, long rows,
    long cols, long first, long window, float factor) {
    for (long row = 0; row < rows; row++)
        for (long i = 0; i < cols; i++) {
            float *d = d_scores + row * ld + i;
            *d = visible(i, first, row, window)
                ? (float)(p[row * ld + i] * ((double)*d - delta[row]) * factor) : 0;
        }
}
