// SPDX-License-Identifier: Apache-2.0
//
// Cross-entropy and Kullback-Leibler divergence over one row of logits, with their gradients in place.

static long argmax(const float *x, long n) {
    const float m = maximum(x, n);
    for (long i = 0; i < n; i++)
        if (x[i] == m) {
            float sum;
            SUM(sum, n, ld(x + i, k) - ld(x + i, k), (lanes)1.0f);
            return sum == sum || isinf(m) ? i : -1;
        }
    return -1;
}

// Sums of exponentials run in one accumulator of 16 lanes, halved at the end: the order of ATen's vectorised
// log_softmax. A row that the model is sure of has a loss near 0, of which the order of this sum is a visible part.

/// x := exp(x - m); the sum of it.
INLINE float exponentials(float *x, long n, float m) {
    lanes sum = 0;
    const lanes c = m;
    long i = 0;
    for (; i + 32 <= n; i += 32) {
        const lanes a = exponential_lanes(ld(x + i, 16) - c), b = exponential_lanes(ld(x + i + 16, 16) - c);
        st(x + i, a, 16), st(x + i + 16, b, 16);
        sum += a;
        sum += b;
    }
    for (; i < n; i += 16) {
        const long k = n - i < 16 ? n - i : 16;
        const lanes a = exponential_lanes(ld(x + i, k) - c);
        st(x + i, a, k);
        sum += keep(a, k, 0);
    }
    return lanes_sum(sum);
}

static ck_row_loss cross_entropy(float *logits, long n, long label, float gradient_scale) {
    const float m = maximum(logits, n), own = logits[label];
    int32_t correct = own == m;
    for (long j = 0; correct && j < label; j++) correct = logits[j] != m;
    if (gradient_scale == 0) {
        lanes sum = 0;
        const lanes c = m;
        long i = 0;
        for (; i + 32 <= n; i += 32) {
            const lanes a = exponential_lanes(ld(logits + i, 16) - c), b = exponential_lanes(ld(logits + i + 16, 16) - c);
            sum += a;
            sum += b;
        }
        for (; i < n; i += 16) {
            const long k = n - i < 16 ? n - i : 16;
            sum += keep(exponential_lanes(ld(logits + i, k) - c), k, 0);
        }
        return (ck_row_loss){logf(lanes_sum(sum)) - (own - m), correct};
    }
    const float sum = exponentials(logits, n, m);
    const lanes factor = gradient_scale / sum;
    EACH(n, st(logits + i, ld(logits + i, k) * factor, k));
    logits[label] -= gradient_scale;
    return (ck_row_loss){logf(sum) - (own - m), correct};
}

static ck_log_moments log_moments(const float *logits, long n) {
    // The variance does not change when all logits move, so sums are taken of x = logit - maximum, then about the
    // mean of x: the difference of two sums of squares would lose a small variance.
    const float m = maximum(logits, n);
    const lanes c = m;
    float sum, first, second;
    lanes total = 0;
    EACH(n, total += keep(exponential_lanes(ld(logits + i, k) - c), k, 0));
    sum = lanes_sum(total);
    SUM(first, n, exponential_lanes(ld(logits + i, k) - c), ld(logits + i, k) - c);
    const float mean = first / sum;
    const lanes centre = m + mean;
    SUM(second, n, exponential_lanes(ld(logits + i, k) - c) * (ld(logits + i, k) - centre),
        ld(logits + i, k) - centre);
    return (ck_log_moments){mean - logf(sum), second / sum};
}

static ck_row_loss divergence(float *logits, float *reference, long n, float gradient_scale) {
    const float mc = maximum(logits, n), mr = maximum(reference, n);
    // sum of p_ref * (reference - logits) needs the logits themselves, so it comes before they are replaced.
    float sum_reference, sum_current, cross;
    lanes s0 = 0;
    const lanes vr = mr;
    EACH(n, s0 += keep(exponential_lanes(ld(reference + i, k) - vr), k, 0));
    sum_reference = lanes_sum(s0);
    const lanes inverse = 1.0f / sum_reference, offset = mc - mr;
    SUM(cross, n, exponential_lanes(ld(reference + i, k) - vr) * inverse,
        (ld(reference + i, k) - ld(logits + i, k)) + offset);
    sum_current = exponentials(logits, n, mc);
    exponentials(reference, n, mr);
    const lanes a = gradient_scale / sum_current, b = -gradient_scale / sum_reference;
    EACH(n, st(logits + i, FMA(ld(logits + i, k), a, ld(reference + i, k) * b), k));
    return (ck_row_loss){cross + (logf(sum_current) - logf(sum_reference)), 0};
}
