// SPDX-License-Identifier: Apache-2.0
//
// LayerNorm (Ba et al. 2016) and RMSNorm (Zhang and Sennrich 2019), forward and backward.

/// k factors from column i on.
INLINE lanes norm_factors(const float *gamma, float offset, long i, long k) {
    return gamma ? ld(gamma + i, k) + offset : (lanes)1.0f;
}

static void norm_forward(float *y, float *mean, float *rstd, const float *x, const float *gamma, float offset,
    const float *beta, long rows, long cols, float epsilon) {
    for (long row = 0; row < rows; row++, x += cols, y += cols) {
        float centre = 0, square;
        if (mean) {
            SUM(centre, cols, ld(x + i, k), (lanes)1.0f);
            centre /= (float)cols;
            mean[row] = centre;
        }
        const lanes c = centre;
        SUM(square, cols, ld(x + i, k) - c, ld(x + i, k) - c);
        const float r = 1.0f / sqrtf(square / (float)cols + epsilon);
        rstd[row] = r;
        const lanes vr = r;
        if (beta) EACH(cols, const lanes g = norm_factors(gamma, offset, i, k);
                       st(y + i, FMA((ld(x + i, k) - c) * vr, g, ld(beta + i, k)), k));
        else EACH(cols, const lanes g = norm_factors(gamma, offset, i, k);
                  st(y + i, ((ld(x + i, k) - c) * vr) * g, k));
    }
}

static void norm_backward_input(float *dx, const float *dy, const float *x, const float *gamma, float offset,
    const float *mean, const float *rstd, long rows, long cols) {
    for (long row = 0; row < rows; row++, x += cols, dy += cols, dx += cols) {
        const lanes c = mean ? mean[row] : 0.0f, r = rstd[row];
        float gradient = 0, projection;
        if (mean) {
            SUM(gradient, cols, ld(dy + i, k), norm_factors(gamma, offset, i, k));
            gradient /= (float)cols;
        }
        SUM(projection, cols, ld(dy + i, k) * norm_factors(gamma, offset, i, k), (ld(x + i, k) - c) * r);
        projection /= (float)cols;
        const lanes g = gradient, p = -projection;
        EACH(cols, const lanes hat = (ld(x + i, k) - c) * r;
             const lanes inner = FMA(hat, p, FMA(ld(dy + i, k), norm_factors(gamma, offset, i, k), -g));
             st(dx + i, FMA(inner, r, ld(dx + i, k)), k));
    }
}

static void norm_backward_weight(float *dgamma, float *dbeta, const float *dy, const float *x,
    const float *mean, const float *rstd, long rows, long cols, long ld_rows) {
    EACH(cols, lanes g = 0; lanes b = 0; for (long row = 0; row < rows; row++) {
        const lanes c = mean ? mean[row] : 0.0f, r = rstd[row];
        const lanes d = ld(dy + row * ld_rows + i, k);
        g = FMA(d, (ld(x + row * ld_rows + i, k) - c) * r, g);
        b += d;
    } st(dgamma + i, ld(dgamma + i, k) + g, k);
         if (dbeta) st(dbeta + i, ld(dbeta + i, k) + b, k));
}
