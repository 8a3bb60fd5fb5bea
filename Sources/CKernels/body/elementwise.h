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

static void multiply(float *y, const float *x, long n) {
    EACH(n, st(y + i, ld(y + i, k) * ld(x + i, k), k));
}

static void clip(float *x, float limit, long n) {
    const lanes high = limit, low = -limit;
    EACH(n, lanes v = ld(x + i, k); v = (v > high) ? high : v; v = (v < low) ? low : v; st(x + i, v, k));
}

static void clip_backward(float *dx, const float *x, float limit, long n) {
    const lanes high = limit, low = -limit;
    EACH(n, const lanes v = ld(x + i, k); lanes d = ld(dx + i, k); d = (v > high) ? (lanes)0.0f : d;
         d = (v < low) ? (lanes)0.0f : d; st(dx + i, d, k));
}

/// tanh(u) as Cephes has it: a polynomial where 1 - 2 / (exp(2|u|) + 1) would cancel. And 1 - tanh(u)^2.
INLINE void tanh_lanes(lanes u, lanes *value, lanes *slope) {
    const lanes a = __builtin_elementwise_abs(u), e = exponential_lanes(a * -2.0f), inverse = 1.0f / (1.0f + e);
    const lanes large = __builtin_elementwise_copysign((1.0f - e) * inverse, u);
    const lanes z = u * u;
    lanes p = -5.70498872745e-3f;
    p = FMA(p, z, 2.06390887954e-2f);
    p = FMA(p, z, -5.37397155531e-2f);
    p = FMA(p, z, 1.33314422036e-1f);
    p = FMA(p, z, -3.33332819422e-1f);
    *value = (a < 0.625f) ? FMA(p * z, u, u) : large;
    *slope = (4.0f * e) * (inverse * inverse);
}

static void soft_cap(float *x, float *slope, float factor, float cap, long n) {
    const lanes scale = factor / cap, c = cap, f = factor;
    if (slope) EACH(n, lanes v; lanes s; tanh_lanes(ld(x + i, k) * scale, &v, &s); st(x + i, v * c, k);
                    st(slope + i, s * f, k));
    else EACH(n, lanes v; lanes s; tanh_lanes(ld(x + i, k) * scale, &v, &s); st(x + i, v * c, k));
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

/// The derivative of gelu at x, with e = gelu_exponential(x) and s = 1 / (1 + e).
INLINE lanes gelu_slope(lanes x, lanes e, lanes s) {
    const lanes slope = FMA(x * x, 0.1070322243f * 2.0f, 1.5957691216f);  // d(2u)/dx
    return FMA((x * s) * (e * s), slope, s);
}

static void gelu_backward(float *dx, const float *dy, const float *x, long n) {
    EACH(n, const lanes v = ld(x + i, k); const lanes e = gelu_exponential(v); const lanes s = 1.0f / (1.0f + e);
         st(dx + i, ld(dy + i, k) * gelu_slope(v, e, s), k));
}

/// P(X > a) of the normal distribution for a >= 0, times sqrt(2 pi) the density at a, into *density: the ratio of
/// both is smooth, and a quotient of polynomials in a hits it to 6e-9. The square is split in two, because exp
/// magnifies its rounding.
INLINE lanes normal_tail(lanes a, lanes *density) {
    const lanes square = a * a, rest = FMA(a, a, -square);
    const lanes e = exponential_lanes(square * -0.5f);
    *density = FMA(e, rest * -0.5f, e);
    lanes p = 4.115995310e-3f;
    p = FMA(p, a, 4.063120945e-2f);
    p = FMA(p, a, 1.832293116e-1f);
    p = FMA(p, a, 4.382873402e-1f);
    p = FMA(p, a, 0.5f);
    lanes q = 1.031715044e-2f;
    q = FMA(q, a, 1.018537872e-1f);
    q = FMA(q, a, 4.694552070e-1f);
    q = FMA(q, a, 1.202479349f);
    q = FMA(q, a, 1.674459661f);
    q = FMA(q, a, 1.0f);
    return *density * (p / q);
}

/// P(X <= x) of the normal distribution; beyond 15 the tail is 0 in f32.
INLINE lanes normal_lanes(lanes x, lanes *density) {
    lanes a = __builtin_elementwise_abs(x);
    a = (a > 15.0f) ? (lanes)15.0f : a;
    const lanes tail = normal_tail(a, density);
    return (x < 0.0f) ? tail : 1.0f - tail;
}

static void gelu_erf_forward(float *y, const float *x, long n) {
    EACH(n, const lanes v = ld(x + i, k); lanes density; st(y + i, v * normal_lanes(v, &density), k));
}

static void gelu_erf_backward(float *dx, const float *dy, const float *x, long n) {
    EACH(n, const lanes v = ld(x + i, k); lanes density; const lanes p = normal_lanes(v, &density);
         st(dx + i, ld(dy + i, k) * FMA(v, density * 0.3989422804f, p), k));
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

static void geglu_forward(float *y, const float *gate_up, long rows, long inner) {
    for (long row = 0; row < rows; row++, y += inner, gate_up += 2 * inner) {
        const float *up = gate_up + inner;
        EACH(inner, const lanes g = ld(gate_up + i, k);
             st(y + i, g / (1.0f + gelu_exponential(g)) * ld(up + i, k), k));
    }
}

static void geglu_backward(float *d_gate_up, const float *dy, const float *gate_up, long rows, long inner) {
    for (long row = 0; row < rows; row++, dy += inner, gate_up += 2 * inner, d_gate_up += 2 * inner) {
        const float *up = gate_up + inner;
        float *d_up = d_gate_up + inner;
        EACH(inner, const lanes g = ld(gate_up + i, k); const lanes u = ld(up + i, k);
             const lanes d = ld(dy + i, k); const lanes e = gelu_exponential(g); const lanes s = 1.0f / (1.0f + e);
             st(d_up + i, d * (g * s), k);
             st(d_gate_up + i, (d * u) * gelu_slope(g, e, s), k));
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

static void exponential(float *y, const float *x, long n) {
    EACH(n, st(y + i, exponential_lanes(ld(x + i, k)), k));
}
