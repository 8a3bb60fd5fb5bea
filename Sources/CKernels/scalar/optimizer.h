// SPDX-License-Identifier: Apache-2.0
//
// AdamW.

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
