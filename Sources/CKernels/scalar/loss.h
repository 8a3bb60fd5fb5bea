// SPDX-License-Identifier: Apache-2.0
//
// Losses over one row of logits.

static ck_row_loss cross_entropy(float *logits, long n, long label, float gradient_scale) {
    const double total = log_sum_of(logits, n, 1), own = logits[label];
    int32_t correct = 1;
    for (long i = 0; i < n; i++) correct = correct && (i < label ? logits[i] < own : logits[i] <= own);
    for (long i = 0; gradient_scale != 0 && i < n; i++)
        logits[i] = (float)(gradient_scale * (exp(logits[i] - total) - (i == label)));
    return (ck_row_loss){(float)(total - own), correct};
}

static ck_log_moments log_moments(const float *logits, long n) {
    const double total = log_sum_of(logits, n, 1);
    double mean = 0, variance = 0;
    for (long i = 0; i < n; i++) mean += exp(logits[i] - total) * (logits[i] - total);
    for (long i = 0; i < n; i++)
        variance += exp(logits[i] - total) * ((logits[i] - total) - mean) * ((logits[i] - total) - mean);
    return (ck_log_moments){(float)mean, (float)variance};
}

static ck_row_loss divergence(float *logits, float *reference, long n, float gradient_scale) {
    const double current = log_sum_of(logits, n, 1), base = log_sum_of(reference, n, 1);
    double loss = 0;
    for (long i = 0; i < n; i++) {
        const double p = exp(reference[i] - base);
        loss += p * ((reference[i] - base) - (logits[i] - current));
        logits[i] = (float)(gradient_scale * (exp(logits[i] - current) - p));
    }
    return (ck_row_loss){(float)loss, 0};
}

static long argmax(const float *x, long n) {
    long best = 0;
    for (long i = 0; i < n; i++) {
        if (x[i] != x[i]) return -1;
        if (x[i] > x[best]) best = i;
    }
    return best;
}
