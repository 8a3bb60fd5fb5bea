// SPDX-License-Identifier: Apache-2.0
//
// Level 0: every kernel written plainly, with double accumulators and libm. The tests hold the vector levels
// against it; processors without vector kernels run it.

#include "ckernels.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

#pragma clang fp contract(off)

static double norm_factor(const float *gamma, float offset, long i) { return gamma ? (double)gamma[i] + offset : 1; }

static void norm_forward(float *y, float *mean, float *rstd, const float *x, const float *gamma, float offset,
    const float *beta, long rows, long cols, float epsilon) {
    for (long row = 0; row < rows; row++, x += cols, y += cols) {
        double centre = 0, square = 0;
        for (long i = 0; mean && i < cols; i++) centre += x[i];
        centre /= (double)cols;
        for (long i = 0; i < cols; i++) square += (x[i] - centre) * (x[i] - centre);
        const double r = 1 / sqrt(square / (double)cols + epsilon);
        if (mean) mean[row] = (float)centre;
        rstd[row] = (float)r;
        for (long i = 0; i < cols; i++)
            y[i] = (float)((x[i] - centre) * r * norm_factor(gamma, offset, i) + (beta ? beta[i] : 0));
    }
}

static void norm_backward_input(float *dx, const float *dy, const float *x, const float *gamma, float offset,
    const float *mean, const float *rstd, long rows, long cols) {
    for (long row = 0; row < rows; row++, x += cols, dy += cols, dx += cols) {
        const double c = mean ? mean[row] : 0, r = rstd[row];
        double gradient = 0, projection = 0;
        for (long i = 0; i < cols; i++) {
            const double d = dy[i] * norm_factor(gamma, offset, i);
            if (mean) gradient += d;
            projection += d * (x[i] - c) * r;
        }
        gradient /= (double)cols;
        projection /= (double)cols;
        for (long i = 0; i < cols; i++)
            dx[i] += (float)(r * (dy[i] * norm_factor(gamma, offset, i) - gradient - (x[i] - c) * r * projection));
    }
}

static void norm_backward_weight(float *dgamma, float *dbeta, const float *dy, const float *x,
    const float *mean, const float *rstd, long rows, long cols, long ld) {
    for (long i = 0; i < cols; i++) {
        double g = 0, b = 0;
        for (long row = 0; row < rows; row++) {
            const double d = dy[row * ld + i];
            g += d * (x[row * ld + i] - (mean ? (double)mean[row] : 0)) * rstd[row];
            b += d;
        }
        dgamma[i] += (float)g;
        if (dbeta) dbeta[i] += (float)b;
    }
}

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

static double sum_of_squares(const float *x, long n) {
    double sum = 0;
    for (long i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sum;
}
static void adamw(float *w, const float *g, float *m, float *v, long n, const ck_adamw_step *s) {
    for (long i = 0; i < n; i++) {
        m[i] = (float)(m[i] + s->one_minus_beta1 * ((double)g[i] - m[i]));
        v[i] = (float)((double)v[i] * s->beta2 + (double)s->one_minus_beta2 * g[i] * g[i]);
        const double denominator = sqrt(v[i]) / s->bias_correction2_sqrt + s->epsilon;
        w[i] = (float)((double)w[i] * s->decay + s->negative_step_size * (m[i] / denominator));
    }
}

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void from_bf16(float *y, const uint16_t *x, long n) {
    for (long i = 0; i < n; i++) y[i] = float_of((uint32_t)x[i] << 16);
}

static void to_bf16(uint16_t *y, const float *x, long n) {
    for (long i = 0; i < n; i++) {
        const uint32_t bits = bits_of(x[i]);
        y[i] = (bits & 0x7fffffff) > 0x7f800000 ? (uint16_t)((bits >> 16) | 0x40)
                                                : (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }
}

static void from_f16(float *y, const uint16_t *x, long n) {
    for (long i = 0; i < n; i++) {
        const uint32_t sign = (uint32_t)(x[i] & 0x8000) << 16;
        const uint32_t exponent = (x[i] >> 10) & 31, fraction = x[i] & 0x3ff;
        if (exponent == 31)
            y[i] = float_of(sign | 0x7f800000 | (fraction ? 0x400000 | fraction << 13 : 0));
        else if (exponent)
            y[i] = float_of(sign | (exponent + 112) << 23 | fraction << 13);
        else
            y[i] = (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
    }
}

static void to_f16(uint16_t *y, const float *x, long n) {
    for (long i = 0; i < n; i++) {
        const uint32_t bits = bits_of(x[i]), magnitude = bits & 0x7fffffff;
        const uint16_t sign = (uint16_t)((bits >> 16) & 0x8000);
        if (magnitude > 0x7f800000) {
            y[i] = (uint16_t)(sign | 0x7e00 | ((magnitude >> 13) & 0x3ff));
        } else if (magnitude >= 0x477ff000) {  // 65520 and more round to infinity
            y[i] = sign | 0x7c00;
        } else if (magnitude < 0x38800000) {  // below 2^-14: counted in steps of 2^-24, rint is ties-to-even
            y[i] = (uint16_t)(sign | (uint16_t)rint((double)float_of(magnitude) * 0x1p24));
        } else {
            const uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
            y[i] = (uint16_t)(sign | ((rounded - 0x38000000) >> 13));
        }
    }
}

/// y(m,n) = initial + x(m,k) · b, whose values lie `along_k` and `along_n` apart.
static void thin(long m, long n, long k, const float *x, long ld_x, const float *b, long along_k, long along_n, float *y,
    long ld_y, const float *initial) {
    for (long row = 0; row < m; row++)
        for (long j = 0; j < n; j++) {
            double sum = initial ? (double)initial[row * ld_y + j] : 0;
            for (long i = 0; i < k; i++) sum += (double)x[row * ld_x + i] * b[i * along_k + j * along_n];
            y[row * ld_y + j] = (float)sum;
        }
}

static void thin_columns(long m, long n, long k, const float *x, long ld_x, const float *b, long ld, float *y, long ld_y,
    const float *initial) {
    thin(m, n, k, x, ld_x, b, ld, 1, y, ld_y, initial);
}

static void thin_rows(long m, long n, long k, const float *x, long ld_x, const float *b, long ld, float *y, long ld_y,
    const float *initial) {
    thin(m, n, k, x, ld_x, b, 1, ld, y, ld_y, initial);
}

static void round_bf16(float *x, long n) {
    for (long i = 0; i < n; i++) {
        uint16_t half;
        to_bf16(&half, x + i, 1);
        from_bf16(x + i, &half, 1);
    }
}

static float spin(long rounds) {
    float s = 1;
    for (; rounds > 0; rounds--) s = s * 0.999f + 0.001f;
    return s;
}

enum { GEMM_WIDTH = 5 };

static void gemm_pack_left(float *p, const float *a, long ld, int32_t transposed, long m, long k) {
    for (long row = 0; row < m; row += GEMM_WIDTH, p += GEMM_WIDTH * k)
        for (long i = 0; i < k; i++)
            for (long j = 0; j < GEMM_WIDTH; j++)
                p[i * GEMM_WIDTH + j] =
                    row + j >= m ? 0 : transposed ? a[i * ld + row + j] : a[(row + j) * ld + i];
}

static void gemm_pack_right(float *p, const float *b, long ld, int32_t transposed, long n, long k) {
    gemm_pack_left(p, b, ld, !transposed, n, k);
}

static void gemm_block(long m, long n, long k, const float *a, const float *b, float *c, long ld_c,
    const float *initial, long ld_initial, const float *bias) {
    for (long i = 0; i < m; i++)
        for (long j = 0; j < n; j++) {
            double sum = (initial ? (double)initial[i * ld_initial + j] : 0) + (bias ? (double)bias[j] : 0);
            const float *x = a + i / GEMM_WIDTH * GEMM_WIDTH * k + i % GEMM_WIDTH;
            const float *y = b + j / GEMM_WIDTH * GEMM_WIDTH * k + j % GEMM_WIDTH;
            for (long l = 0; l < k; l++) sum += (double)x[l * GEMM_WIDTH] * y[l * GEMM_WIDTH];
            c[i * ld_c + j] = (float)sum;
        }
}

static void exponential(float *y, const float *x, long n) {
    for (long i = 0; i < n; i++) y[i] = (float)exp((double)x[i]);
}

const ck_kernels ck_kernels_scalar = {
    .level = CK_LEVEL_SCALAR,
    .name = "scalar",
    .norm_forward = norm_forward,
    .norm_backward_input = norm_backward_input,
    .norm_backward_weight = norm_backward_weight,
    .add_bias = add_bias,
    .column_sum = column_sum,
    .add = add,
    .accumulate = accumulate,
    .scale = scale,
    .multiply = multiply,
    .clip = clip,
    .clip_backward = clip_backward,
    .soft_cap = soft_cap,
    .row_dot = row_dot,
    .gelu_forward = gelu_forward,
    .gelu_backward = gelu_backward,
    .gelu_erf_forward = gelu_erf_forward,
    .gelu_erf_backward = gelu_erf_backward,
    .swiglu_forward = swiglu_forward,
    .swiglu_backward = swiglu_backward,
    .geglu_forward = geglu_forward,
    .geglu_backward = geglu_backward,
    .rotary = rotary,
    .attention_softmax = attention_softmax,
    .attention_probabilities = attention_probabilities,
    .attention_backward = attention_backward,
    .cross_entropy = cross_entropy,
    .log_moments = log_moments,
    .divergence = divergence,
    .argmax = argmax,
    .sum_of_squares = sum_of_squares,
    .adamw = adamw,
    .gemm_rows = GEMM_WIDTH,
    .gemm_columns = GEMM_WIDTH,
    .gemm_pack_left = gemm_pack_left,
    .gemm_pack_right = gemm_pack_right,
    .gemm_block = gemm_block,
    .thin_columns = thin_columns,
    .thin_rows = thin_rows,
    .spin = spin,
    .spin_operations = 2,
    .from_f16 = from_f16,
    .from_bf16 = from_bf16,
    .to_f16 = to_f16,
    .to_bf16 = to_bf16,
    .round_bf16 = round_bf16,
    .exponential = exponential,
};
