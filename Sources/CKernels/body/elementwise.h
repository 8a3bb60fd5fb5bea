// SPDX-License-Identifier: Apache-2.0
//
// Sums, biases and activations.

static void add_bias(float *y, long ld_y, const float *bias, long rows, long cols) {
    for (long row = 0; row < rows; row++, y += ld_y) EACH(cols, st(y + i, ld(y + i, k) + ld(bias + i, k), k));
}

static void column_sum(float *sum, const float *x, long ld_x, long rows, long cols) {
    EACH(cols, lanes s = 0; for (long row = 0; row < rows; row++) s += ld(x + row * ld_x + i, k);
         st(sum + i, ld(sum + i, k) + s, k));
}

static void add(float *y, const float *a, const float *b, long n) {
    EACH(n, st(y + i, ld(a + i, k) + ld(b + i, k), k));
}

static void accumulate(float *y, const float *x, long n) {
    EACH(n, st(y + i, ld(y + i, k) + ld(x + i, k), k));
}

static void scale(float *y, const float *x, float factor, long n) {
    EACH(n, st(y + i, ld(x + i, k) * factor, k));
}

static void row_dot(float *out, const float *a, long lda, const float *b, long ldb, long rows, long cols) {
    for (long row = 0; row < rows; row++, a += lda, b += ldb) SUM(out[row], cols, ld(a + i, k), ld(b + i, k));
}

/// exp(-2u) with u = sqrt(2/pi) (x + 0.044715 x^3), kept finite. Then 1 + tanh(u) = 2 / (1 + exp(-2u)), which
/// keeps the relative accuracy of small results that 1 + tanh(u) would lose.
INLINE lanes gelu_exponential(lanes x) {
    lanes u = (x * -1.5957691216f) * FMA(x * x, 0.044715f, 1.0f);
    u = (u > 87.0f) ? (lanes)87.0f : u;
    return exponential_lanes(u);
}

static void gelu_forward(float *y, const float *x, long n) {
    EACH(n, const lanes v = ld(x + i, k); st(y + i, v / (1.0f + gelu_exponential(v)), k));
}

static void gelu_backward(float *dx, const float *dy, const float *x, long n) {
    EACH(n, const lanes v = ld(x + i, k); const lanes e = gelu_exponential(v); const lanes s = 1.0f / (1.0f + e);
         const lanes slope = FMA(v * v, 0.1070322243f * 2.0f, 1.5957691216f);  // d(2u)/dx
         st(dx + i, ld(dy + i, k) * FMA((v * s) * (e * s), slope, s), k));
}

/// exp(-x), kept finite.
INLINE lanes silu_exponential(lanes x) {
    lanes u = -x;
    u = (u > 87.0f) ? (lanes)87.0f : u;
    return exponential_lanes(u);
}

static void swiglu_forward(float *y, const float *gate_up, long rows, long inner) {
    for (long row = 0; row < rows; row++, y += inner, gate_up += 2 * inner) {
        const float *up = gate_up + inner;
        EACH(inner, const lanes g = ld(gate_up + i, k);
             st(y + i, g / (1.0f + silu_exponential(g)) * ld(up + i, k), k));
    }
}

static void swiglu_backward(float *d_gate_up, const float *dy, const float *gate_up, long rows, long inner) {
    for (long row = 0; row < rows; row++, dy += inner, gate_up += 2 * inner, d_gate_up += 2 * inner) {
        const float *up = gate_up + inner;
        float *d_up = d_gate_up + inner;
        EACH(inner, const lanes g = ld(gate_up + i, k); const lanes u = ld(up + i, k);
             const lanes d = ld(dy + i, k); const lanes e = silu_exponential(g); const lanes s = 1.0f / (1.0f + e);
             st(d_up + i, d * (g * s), k);
             st(d_gate_up + i, (d * u) * (s * FMA(g, e * s, 1.0f)), k));
    }
}

static void rotary(float *x, long ld_x, const float *cosines, const float *sines, const int32_t *positions,
    long rows, long heads, long head_size, long rotary_size, float direction) {
    const long half = rotary_size / 2;
    const lanes sign = direction;
    for (long row = 0; row < rows; row++) {
        const float *c = cosines + positions[row] * half, *s = sines + positions[row] * half;
        for (long head = 0; head < heads; head++) {
            float *a = x + row * ld_x + head * head_size, *b = a + half;
            EACH(half, const lanes va = ld(a + i, k); const lanes vb = ld(b + i, k); const lanes vc = ld(c + i, k);
                 const lanes vs = ld(s + i, k) * sign; st(a + i, FMA(va, vc, -(vb * vs)), k);
                 st(b + i, FMA(vb, vc, va * vs), k));
        }
    }
}
