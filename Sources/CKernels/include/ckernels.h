// SPDX-License-Identifier: Apache-2.0
//
// Vector kernels of the engine. Row-major f32 everywhere; `ld` is the distance between rows in floats.
// Letters: N rows (tokens), C channels, I intermediate size, V vocabulary, D head size.
//
// Every kernel exists once as scalar code (level 0, double accumulators: the oracle of the tests) and once as
// vector code compiled for each instruction level. The vector code uses 16 fixed lanes, a fixed reduction order
// and explicit fused multiply-add, so that all vector levels give the same bits, optimised or not.
// Nothing here allocates, and nothing is global but constants.

#ifndef UNLEARN_CKERNELS_H
#define UNLEARN_CKERNELS_H

#include <stdint.h>

#pragma clang assume_nonnull begin

enum { CK_LEVEL_SCALAR = 0, CK_LEVEL_AVX2 = 1, CK_LEVEL_AVX512 = 2 };

/// The constants of one AdamW step, as PyTorch derives them in double and rounds them to float.
typedef struct ck_adamw_step {
    float decay;            ///< 1 - lr * weight_decay
    float one_minus_beta1;  ///< 1 - beta1
    float beta2;
    float one_minus_beta2;          ///< 1 - beta2
    float bias_correction2_sqrt;    ///< sqrt(1 - beta2^step)
    float epsilon;
    float negative_step_size;  ///< -lr / (1 - beta1^step)
} ck_adamw_step;

/// One row of a classification loss.
typedef struct ck_row_loss {
    float loss;       ///< negative log-likelihood or divergence, nats
    int32_t correct;  ///< 1 if the label is the first of the largest logits
} ck_row_loss;

/// How the log-probabilities of one row of logits are distributed under the row's own probabilities.
typedef struct ck_log_moments {
    float mean;      ///< sum of p ln p: minus the entropy, nats
    float variance;  ///< sum of p (ln p)^2, less the mean's square
} ck_log_moments;

/// All kernels of one instruction level.
typedef struct ck_kernels {
    int32_t level;
    const char *name;

    // Normalisation. `mean` null: RMS norm. `gamma` null: all factors are 1. `beta` null: no shift.
    /// y(N,C) = (x - mean) * rstd * (offset + gamma) + beta; keeps mean(N) and rstd(N) for the backward pass.
    void (*norm_forward)(float *y, float *_Nullable mean, float *rstd, const float *x,
        const float *_Nullable gamma, float offset, const float *_Nullable beta, long rows, long cols,
        float epsilon);
    /// dx(N,C) += gradient with respect to x.
    void (*norm_backward_input)(float *dx, const float *dy, const float *x, const float *_Nullable gamma,
        float offset, const float *_Nullable mean, const float *rstd, long rows, long cols);
    /// dgamma += sum over rows of dy * xhat, dbeta += sum of dy, for the `cols` columns at the pointers.
    void (*norm_backward_weight)(float *dgamma, float *_Nullable dbeta, const float *dy, const float *x,
        const float *_Nullable mean, const float *rstd, long rows, long cols, long ld);

    // Elementwise and biases.
    /// y(N,C) += bias(C).
    void (*add_bias)(float *y, long ld, const float *bias, long rows, long cols);
    /// sum(C) += sum over rows of x(N,C).
    void (*column_sum)(float *sum, const float *x, long ld, long rows, long cols);
    /// y = a + b.
    void (*add)(float *y, const float *a, const float *b, long count);
    /// y += x.
    void (*accumulate)(float *y, const float *x, long count);
    /// y = factor * x.
    void (*scale)(float *y, const float *x, float factor, long count);
    /// y *= x.
    void (*multiply)(float *y, const float *x, long count);
    /// x := max(-limit, min(x, limit)).
    void (*clip)(float *x, float limit, long count);
    /// dx := 0 where |x| > limit.
    void (*clip_backward)(float *dx, const float *x, float limit, long count);
    /// x := cap * tanh(factor * x / cap); slope, if not null, := the derivative.
    void (*soft_cap)(float *x, float *_Nullable slope, float factor, float cap, long count);
    /// out(N) = dot of the rows of a and b.
    void (*row_dot)(float *out, const float *a, long lda, const float *b, long ldb, long rows, long cols);

    // Activations.
    /// y = gelu(x) with the tanh approximation ("gelu_new").
    void (*gelu_forward)(float *y, const float *x, long count);
    /// dx = dy * gelu'(x); dx may be dy.
    void (*gelu_backward)(float *dx, const float *dy, const float *x, long count);
    /// y = gelu(x) = x * P(X <= x), X normal ("gelu").
    void (*gelu_erf_forward)(float *y, const float *x, long count);
    /// dx = dy * gelu'(x); dx may be dy.
    void (*gelu_erf_backward)(float *dx, const float *dy, const float *x, long count);
    /// y(N,I) = silu(gate) * up, with gate and up side by side in gate_up(N,2I).
    void (*swiglu_forward)(float *y, const float *gate_up, long rows, long inner);
    /// d_gate_up(N,2I) = gradient of swiglu_forward.
    void (*swiglu_backward)(float *d_gate_up, const float *dy, const float *gate_up, long rows, long inner);
    /// y(N,I) = gelu(gate) * up with the tanh approximation, laid out as in swiglu_forward.
    void (*geglu_forward)(float *y, const float *gate_up, long rows, long inner);
    /// d_gate_up(N,2I) = gradient of geglu_forward.
    void (*geglu_backward)(float *d_gate_up, const float *dy, const float *gate_up, long rows, long inner);
    /// Rotates pairs (j, j + rotary/2) of the first `rotary` values of each head, in place, for `heads` heads that
    /// begin `head_size` floats from each other in a row. tables: cos and sin, (positions, rotary/2). direction -1 undoes it.
    void (*rotary)(float *x, long ld, const float *cosines, const float *sines, const int32_t *positions,
        long rows, long heads, long head_size, long rotary, float direction);

    // Attention over one block of queries. Row i sees the last `window` of the columns [0, first + i]; the others
    // up to `cols` become 0.
    /// scores := softmax(scores * scale) in place; log_sum(i) = log of the sum of exponentials.
    void (*attention_softmax)(float *scores, long ld, float *log_sum, long rows, long cols, long first,
        long window, float scale);
    /// scores := exp(scores * scale - log_sum) in place.
    void (*attention_probabilities)(float *scores, long ld, const float *log_sum, long rows, long cols,
        long first, long window, float scale);
    /// d_scores := p * (d_scores - delta(i)) * scale in place.
    void (*attention_backward)(float *d_scores, const float *p, long ld, const float *delta, long rows,
        long cols, long first, long window, float scale);

    // Losses over one row of V logits.
    /// Loss and hit of `label`. gradient_scale != 0: logits := gradient_scale * (softmax - onehot).
    ck_row_loss (*cross_entropy)(float *logits, long cols, long label, float gradient_scale);
    /// Mean and variance of ln p over the vocabulary, weighted by p = softmax(logits). The logits are only read.
    ck_log_moments (*log_moments)(const float *logits, long cols);
    /// KL(softmax(reference) || softmax(logits)); logits := gradient_scale * gradient. Both rows are overwritten.
    ck_row_loss (*divergence)(float *logits, float *reference, long cols, float gradient_scale);
    /// Index of the first largest value; -1 if one is NaN.
    long (*argmax)(const float *x, long count);

    // Optimiser.
    /// The sum of squares, every square and sum in double.
    double (*sum_of_squares)(const float *x, long count);
    /// One AdamW step over `count` parameters: w, m and v change, g is read.
    void (*adamw)(float *w, const float *g, float *m, float *v, long count, const ck_adamw_step *step);

    // Matrix products, c = initial + bias + a · b, from panels: groups of `gemm_rows` rows of a(m,k) and of
    // `gemm_columns` columns of b(k,n), each (k, width), the last one filled up with zeros.
    long gemm_rows;
    long gemm_columns;
    /// The panels of a(m,k), which is stored as (m, ld) or, transposed, as (k, ld).
    void (*gemm_pack_left)(float *panels, const float *a, long ld, int32_t transposed, long m, long k);
    /// The panels of b(k,n), which is stored as (k, ld) or, transposed, as (n, ld).
    void (*gemm_pack_right)(float *panels, const float *b, long ld, int32_t transposed, long n, long k);
    /// c(m,n) from panels of k values each. `initial` null: zeros; it may be c. `bias` null: no bias(n).
    void (*gemm_block)(long m, long n, long k, const float *a, const float *b, float *c, long ld_c,
        const float *_Nullable initial, long ld_initial, const float *_Nullable bias);

    /// y(m,n) = initial + x(m,k) · b(k,n) for few rows, with b stored as (k, ld). `initial` null: zeros; it may be y, and
    /// its rows lie as far apart as y's.
    void (*thin_columns)(long m, long n, long k, const float *x, long ld_x, const float *b, long ld, float *y, long ld_y,
        const float *_Nullable initial);
    /// The same with b stored as (n, ld).
    void (*thin_rows)(long m, long n, long k, const float *x, long ld_x, const float *b, long ld, float *y, long ld_y,
        const float *_Nullable initial);
    /// The same with the values of b rounded to bfloat16; those of x are taken as they are.
    void (*thin_columns_rounded)(long m, long n, long k, const float *x, long ld_x, const float *b, long ld, float *y,
        long ld_y, const float *_Nullable initial);
    void (*thin_rows_rounded)(long m, long n, long k, const float *x, long ld_x, const float *b, long ld, float *y, long ld_y,
        const float *_Nullable initial);

    /// Multiplies and adds in registers alone, as fast as the processor can: what products are measured against.
    /// `spin_operations` floating-point operations a round.
    float (*spin)(long rounds);
    long spin_operations;

    // Conversions; to 16 bits: nearest, ties to even, NaN stays NaN, overflow becomes infinity.
    void (*from_f16)(float *y, const uint16_t *x, long count);
    void (*from_bf16)(float *y, const uint16_t *x, long count);
    void (*to_f16)(uint16_t *y, const float *x, long count);
    void (*to_bf16)(uint16_t *y, const float *x, long count);

    /// Rounds to bfloat16 and back, in place.
    void (*round_bf16)(float *x, long count);

    /// y = exp(x); at most 1 ulp from the correctly rounded value, subnormal results and infinities included.
    void (*exponential)(float *y, const float *x, long count);
} ck_kernels;

/// Matrix products of operands that are rounded to bfloat16 (nearest, ties to even; subnormal values become 0), summed in f32
/// by the processor's own instruction, two values of k at a time (VDPBF16PS). The same as those of ck_kernels but that a
/// panel holds pairs, (k/2, width), each the values of an even k and of the next one in 32 bits; the last one of an odd k ends
/// with zero.
typedef struct ck_pair_kernels {
    long gemm_rows;
    long gemm_columns;
    void (*gemm_pack_left)(float *panels, const float *a, long ld, int32_t transposed, long m, long k);
    void (*gemm_pack_right)(float *panels, const float *b, long ld, int32_t transposed, long n, long k);
    /// `pairs` are those of a panel.
    void (*gemm_block)(long m, long n, long pairs, const float *a, const float *b, float *c, long ld_c,
        const float *_Nullable initial, long ld_initial, const float *_Nullable bias);
    /// As ck_kernels' `spin`.
    float (*spin)(long rounds);
    long spin_operations;
} ck_pair_kernels;

/// The highest level that this processor supports.
int32_t ck_best_level(void);

/// Whether the processor multiplies bfloat16 itself (AVX512_BF16 or AMX_BF16).
int32_t ck_has_bfloat16(void);

/// Whether it does so faster than it multiplies f32. Intel's AVX512_BF16 without AMX does not.
int32_t ck_has_fast_bfloat16(void);

/// The kernels for pairs of bfloat16, or null if this processor (or this build) lacks AVX512_BF16.
const ck_pair_kernels *_Nullable ck_pair_kernels_here(void);

/// Whether those are the fastest way to multiply bfloat16: not on Intel's processors, nor where there is AMX.
int32_t ck_has_fast_pairs(void);

/// The kernels of a level, or null if this processor (or this build) lacks it.
const ck_kernels *_Nullable ck_kernels_at(int32_t level);

#pragma clang assume_nonnull end

#endif
