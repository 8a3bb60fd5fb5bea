// SPDX-License-Identifier: Apache-2.0
//
// Normalisation.

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
