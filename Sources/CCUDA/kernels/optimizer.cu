// SPDX-License-Identifier: Apache-2.0
//
// AdamW (Loshchilov and Hutter 2019) in the order of operations of torch.optim.AdamW, and the gradient's norm.

/// One step over `count` parameters, whose gradients count `factor` times; `copy` gets the new weights rounded.
KERNEL(THREADS)
adamw(float *w, bf16 *copy, const float *g, float *m, float *v, long long count, float factor, float decay,
    float one_minus_beta1, float beta2, float one_minus_beta2, float bias_correction2_sqrt, float epsilon,
    float negative_step_size) {
    for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < count; i += (long long)gridDim.x * THREADS) {
        const float gradient = g[i] * factor;
        const float first = fmaf(one_minus_beta1, gradient - m[i], m[i]);
        const float second = fmaf(one_minus_beta2 * gradient, gradient, v[i] * beta2);
        const float denominator = sqrtf(second) / bias_correction2_sqrt + epsilon;
        const float weight = fmaf(negative_step_size, first / denominator, w[i] * decay);
        m[i] = first;
        v[i] = second;
        w[i] = weight;
        copy[i] = to_bf16(weight);
    }
}

/// Values of one piece of a sum of squares.
#define SQUARE_PIECE 65536

DEVICE double block_total(double x, double *memory) {
    for (int mask = 16; mask > 0; mask /= 2) x += from_lane(x, mask);
    if (threadIdx.x % 32 == 0) memory[threadIdx.x / 32] = x;
    __syncthreads();
    double sum = 0;
    for (int i = 0; i < WARPS; i++) sum += memory[i];
    return sum;
}

/// pieces(piece) = the sum of the squares of SQUARE_PIECE values, every square and sum in double.
KERNEL(THREADS)
sum_of_squares(double *pieces, const float *x, long long count) {
    __shared__ double memory[WARPS];
    const long long first = (long long)blockIdx.x * SQUARE_PIECE;
    const long long last = first + SQUARE_PIECE < count ? first + SQUARE_PIECE : count;
    double sum = 0;
    for (long long i = first + threadIdx.x; i < last; i += THREADS) sum += (double)x[i] * (double)x[i];
    sum = block_total(sum, memory);
    if (threadIdx.x == 0) pieces[blockIdx.x] = sum;
}

/// total = the sum of the pieces; one block.
KERNEL(THREADS)
add_squares(double *total, const double *pieces, int count) {
    __shared__ double memory[WARPS];
    double sum = 0;
    for (int i = threadIdx.x; i < count; i += THREADS) sum += pieces[i];
    sum = block_total(sum, memory);
    if (threadIdx.x == 0) total[0] = sum;
}
