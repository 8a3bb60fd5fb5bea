// SPDX-License-Identifier: Apache-2.0
//
// AdamW (Loshchilov and Hutter 2019) in the order of operations of torch.optim.AdamW.

static double sum_of_squares(const float *x, long n) {
    // The product of two floats is exact in double.
    doubles s = 0;
    EACH(n, const doubles v = __builtin_convertvector(ld(x + i, k), doubles); s += v * v);
    double sum = 0;
    for (int j = 0; j < 16; j++) sum += s[j];
    return sum;
}

static void adamw(float *w, const float *g, float *m, float *v, long n, const ck_adamw_step *s) {
    const lanes decay = s->decay, one_minus_beta1 = s->one_minus_beta1, beta2 = s->beta2,
                one_minus_beta2 = s->one_minus_beta2, correction = s->bias_correction2_sqrt,
                epsilon = s->epsilon, negative_step = s->negative_step_size;
    EACH(n, const lanes gradient = ld(g + i, k);
         const lanes first = FMA(one_minus_beta1, gradient - ld(m + i, k), ld(m + i, k));
         const lanes second = FMA(one_minus_beta2 * gradient, gradient, ld(v + i, k) * beta2);
         const lanes denominator = __builtin_elementwise_sqrt(second) / correction + epsilon;
         st(m + i, first, k); st(v + i, second, k);
         st(w + i, FMA(negative_step, first / denominator, ld(w + i, k) * decay), k));
}
