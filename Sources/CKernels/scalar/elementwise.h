// SPDX-License-Identifier: Apache-2.0
//
// Elementwise operations, biases, activations, rotations.

static void add_bias(float *y, long ld, const float *bias, long rows, long cols) {
    for (long row = 0; row < rows; row++)
        for (long i = 0; i < cols; i++) y[row * ld + i] += bias[i];
}

static void column_sum(float *sum, const float *x, long ld, long rows, long cols) {
    for (long i = 0; i < cols; i++) {
        double s = 0;
        for (long row = 0; row < rows; row++) s += x[row * ld + i];
        sum[i] += (float)s;
    }
}

static void add(float *y, const float *a, const float *b, long n) {
    for (long i = 0; i < n; i++) y[i] = a[i] + b[i];
}

static void accumulate(float *y, const float *x, long n) {
    for (long i = 0; i < n; i++) y[i] += x[i];
}

static void scale(float *y, const float *x, float factor, long n) {
    for (long i = 0; i < n; i++) y[i] = x[i] * factor;
}

static void multiply(float *y, const float *x, long n) {
    for (long i = 0; i < n; i++) y[i] *= x[i];
}

static void clip(float *x, float limit, long n) {
    for (long i = 0; i < n; i++) x[i] = x[i] > limit ? limit : x[i] < -limit ? -limit : x[i];
}

static void clip_backward(float *dx, const float *x, float limit, long n) {
    for (long i = 0; i < n; i++)
        if (x[i] > limit || x[i] < -limit) dx[i] = 0;
}

static void soft_cap(float *x, float *slope, float factor, float cap, long n) {
    for (long i = 0; i < n; i++) {
        const double u = (double)x[i] * factor / cap;
        x[i] = (float)(cap * tanh(u));
        if (slope) slope[i] = (float)(factor / (cosh(u) * cosh(u)));
    }
}

static void row_dot(float *out, const float *a, long lda, const float *b, long ldb, long rows, long cols) {
    for (long row = 0; row < rows; row++) {
        double s = 0;
        for (long i = 0; i < cols; i++) s += (double)a[row * lda + i] * b[row * ldb + i];
        out[row] = (float)s;
    }
}

static const double root_two_over_pi = 0.79788456080286535588;

static double gelu(double x) { return x / (1 + exp(-2 * root_two_over_pi * (x + 0.044715 * x * x * x))); }

static void gelu_forward(float *y, const float *x, long n) {
    for (long i = 0; i < n; i++) y[i] = (float)gelu(x[i]);
}

static double gelu_slope(double v) {
    const double t = tanh(root_two_over_pi * (v + 0.044715 * v * v * v));
    return 0.5 * (1 + t) + 0.5 * v * (1 - t * t) * root_two_over_pi * (1 + 3 * 0.044715 * v * v);
}

static void gelu_backward(float *dx, const float *dy, const float *x, long n) {
    for (long i = 0; i < n; i++) dx[i] = (float)(dy[i] * gelu_slope(x[i]));
}

static void gelu_erf_forward(float *y, const float *x, long n) {
    for (long i = 0; i < n; i++) y[i] = (float)(0.5 * x[i] * erfc(-x[i] * M_SQRT1_2));
}

static void gelu_erf_backward(float *dx, const float *dy, const float *x, long n) {
    for (long i = 0; i < n; i++) {
        const double v = x[i];
        dx[i] = (float)(dy[i] * (0.5 * erfc(-v * M_SQRT1_2) + v * exp(-0.5 * v * v) * M_SQRT1_2 * 0.5 * M_2_SQRTPI));
    }
}

static void swiglu_forward(float *y, const float *gate_up, long rows, long inner) {
    for (long row = 0; row < rows; row++)
        for (long i = 0; i < inner; i++) {
            const double g = gate_up[row * 2 * inner + i], u = gate_up[row * 2 * inner + inner + i];
            y[row * inner + i] = (float)(g / (1 + exp(-g)) * u);
        }
}

static void swiglu_backward(float *d_gate_up, const float *dy, const float *gate_up, long rows, long inner) {
    for (long row = 0; row < rows; row++)
        for (long i = 0; i < inner; i++) {
            const long at = row * 2 * inner + i;
            const double g = gate_up[at], u = gate_up[at + inner], d = dy[row * inner + i];
            const double s = 1 / (1 + exp(-g));
            d_gate_up[at + inner] = (float)(d * g * s);
            d_gate_up[at] = (float)(d * u * s * (1 + g * (1 - s)));
        }
}

static void geglu_forward(float *y, const float *gate_up, long rows, long inner) {
    for (long row = 0; row < rows; row++)
        for (long i = 0; i < inner; i++) {
            const double g = gate_up[row * 2 * inner + i], u = gate_up[row * 2 * inner + inner + i];
            y[row * inner + i] = (float)(gelu(g) * u);
        }
}

static void geglu_backward(float *d_gate_up, const float *dy, const float *gate_up, long rows, long inner) {
    for (long row = 0; row < rows; row++)
        for (long i = 0; i < inner; i++) {
            const long at = row * 2 * inner + i;
            const double g = gate_up[at], u = gate_up[at + inner], d = dy[row * inner + i];
            d_gate_up[at + inner] = (float)(d * gelu(g));
            d_gate_up[at] = (float)(d * u * gelu_slope(g));
        }
}

static void rotary(float *x, long ld, const float *cosines, const float *sines, const int32_t *positions,
    long rows, long heads, long head_size, long rotary_size, float direction) {
    const long half = rotary_size / 2;
    for (long row = 0; row < rows; row++)
        for (long head = 0; head < heads; head++)
            for (long i = 0; i < half; i++) {
                float *a = x + row * ld + head * head_size + i, *b = a + half;
                const double c = cosines[positions[row] * half + i];
                const double s = sines[positions[row] * half + i] * (double)direction;
                const double va = *a, vb = *b;
                *a = (float)(va * c - vb * s);
                *b = (float)(vb * c + va * s);
            }
}

static void exponential(float *y, const float *x, long n) {
    for (long i = 0; i < n; i++) y[i] = (float)exp((double)x[i]);
}
