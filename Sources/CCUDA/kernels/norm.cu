// SPDX-License-Identifier: Apache-2.0
//
// LayerNorm (Ba et al. 2016) and RMSNorm (Zhang and Sennrich 2019), forward and backward; one warp for each row.

DEVICE float norm_factor(const float *gamma, float offset, int i) { return gamma ? gamma[i] + offset : 1.0f; }

/// y(N,C) = (x - mean) * rstd * (offset + gamma) + beta, kept with mean(N) and rstd(N). No `mean`: RMSNorm; no `gamma`: all
/// factors are 1; no `beta`: no shift.
KERNEL(THREADS)
norm_forward(bf16 *y, float *mean, float *rstd, const float *x, const float *gamma, float offset, const float *beta,
    int rows, int cols, float epsilon) {
    const int row = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    x += (long long)row * cols;
    y += (long long)row * cols;
    float centre = 0;
    if (mean) {
        for (int i = lane; i < cols; i += 32) centre += x[i];
        centre = warp_sum(centre) / (float)cols;
    }
    float square = 0;
    for (int i = lane; i < cols; i += 32) square = fmaf(x[i] - centre, x[i] - centre, square);
    const float r = 1.0f / sqrtf(warp_sum(square) / (float)cols + epsilon);
    if (lane == 0) {
        if (mean) mean[row] = centre;
        rstd[row] = r;
    }
    for (int i = lane; i < cols; i += 32)
        y[i] = to_bf16((x[i] - centre) * r * norm_factor(gamma, offset, i) + (beta ? beta[i] : 0.0f));
}

/// dx(N,C) += the gradient with respect to x; the sum also goes to `copy`, if there is one.
KERNEL(THREADS)
norm_backward_input(float *dx, bf16 *copy, const float *dy, const float *x, const float *gamma, float offset,
    const float *mean, const float *rstd, int rows, int cols) {
    const int row = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    const long long start = (long long)row * cols;
    dx += start, dy += start, x += start;
    if (copy) copy += start;
    const float centre = mean ? mean[row] : 0.0f, r = rstd[row];
    float gradient = 0, projection = 0;
    for (int i = lane; i < cols; i += 32) {
        const float d = dy[i] * norm_factor(gamma, offset, i);
        gradient += d;
        projection = fmaf(d, (x[i] - centre) * r, projection);
    }
    gradient = mean ? warp_sum(gradient) / (float)cols : 0.0f;
    projection = warp_sum(projection) / (float)cols;
    for (int i = lane; i < cols; i += 32) {
        const float hat = (x[i] - centre) * r;
        const float inner = dy[i] * norm_factor(gamma, offset, i) - gradient - hat * projection;
        const float sum = fmaf(inner, r, dx[i]);
        dx[i] = sum;
        if (copy) copy[i] = to_bf16(sum);
    }
}

/// Columns and rows of one piece of a sum over rows.
#define PIECE_COLUMNS 32
#define PIECE_ROWS 128

/// The sum of eight rows of 32 threads, for the first of them.
DEVICE float rows_sum(float x, float memory[WARPS][PIECE_COLUMNS]) {
    const int column = threadIdx.x % 32, part = threadIdx.x / 32;
    __syncthreads();
    memory[part][column] = x;
    __syncthreads();
    float sum = 0;
    if (part == 0)
        for (int i = 0; i < WARPS; i++) sum += memory[i][column];
    return sum;
}

/// pieces(piece, 0, C) = the sums of dy * xhat over PIECE_ROWS rows, pieces(piece, 1, C) those of dy.
KERNEL(THREADS)
norm_backward_weight(float *pieces, const float *dy, const float *x, const float *mean, const float *rstd, int rows,
    int cols) {
    __shared__ float memory[WARPS][PIECE_COLUMNS];
    const int column = blockIdx.x * PIECE_COLUMNS + threadIdx.x % 32;
    const int first = blockIdx.y * PIECE_ROWS, last = min(rows, first + PIECE_ROWS);
    float scale = 0, shift = 0;
    if (column < cols)
        for (int row = first + threadIdx.x / 32; row < last; row += WARPS) {
            const float d = dy[(long long)row * cols + column];
            const float centre = mean ? mean[row] : 0.0f;
            scale = fmaf(d, (x[(long long)row * cols + column] - centre) * rstd[row], scale);
            shift += d;
        }
    scale = rows_sum(scale, memory);
    shift = rows_sum(shift, memory);
    if (threadIdx.x < 32 && column < cols) {
        pieces[(2LL * blockIdx.y) * cols + column] = scale;
        pieces[(2LL * blockIdx.y + 1) * cols + column] = shift;
    }
}

/// pieces(piece, C) = the sums of PIECE_ROWS rows of x(N, ld).
KERNEL(THREADS)
column_sum(float *pieces, const bf16 *x, int ld, int rows, int cols) {
    __shared__ float memory[WARPS][PIECE_COLUMNS];
    const int column = blockIdx.x * PIECE_COLUMNS + threadIdx.x % 32;
    const int first = blockIdx.y * PIECE_ROWS, last = min(rows, first + PIECE_ROWS);
    float sum = 0;
    if (column < cols)
        for (int row = first + threadIdx.x / 32; row < last; row += WARPS)
            sum += to_float(x[(long long)row * ld + column]);
    sum = rows_sum(sum, memory);
    if (threadIdx.x < 32 && column < cols) pieces[(long long)blockIdx.y * cols + column] = sum;
}

/// sum(C) += the sum of `count` pieces, `stride` floats apart.
KERNEL(THREADS)
add_pieces(float *sum, const float *pieces, int count, int stride, int cols) {
    const int column = blockIdx.x * THREADS + threadIdx.x;
    if (column >= cols) return;
    float total = 0;
    for (int i = 0; i < count; i++) total += pieces[(long long)i * stride + column];
    sum[column] += total;
}
