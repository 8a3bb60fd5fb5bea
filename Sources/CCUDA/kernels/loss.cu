// SPDX-License-Identifier: Apache-2.0
//
// Cross-entropy over rows of logits; one block for each row.

/// A largest value, the first place that has it, and the sum of exponentials below it.
struct summit {
    float value, sum;
    int place;
};

DEVICE summit join(summit a, summit b) {
    const bool left = a.value > b.value || (a.value == b.value && a.place < b.place);
    const float m = left ? a.value : b.value;
    summit c;
    c.value = m;
    c.place = left ? a.place : b.place;
    // Two empty parts have no finite maximum.
    c.sum = (a.sum == 0 ? 0.0f : a.sum * expf(a.value - m)) + (b.sum == 0 ? 0.0f : b.sum * expf(b.value - m));
    return c;
}

/// Loss in nats and hit of each row's target, with the maximum and the sum of exponentials that the gradient needs. With
/// `moments` also mean and variance of ln p under p: (P, 2).
KERNEL(THREADS)
cross_entropy(float *loss, int *correct, float *maximum, float *sum, float *moments, const float *logits, int ld, int cols,
    const int *targets) {
    __shared__ summit parts[WARPS];
    __shared__ float memory[WARPS];
    const int row = blockIdx.x;
    logits += (long long)row * ld;
    summit own = {-INFINITE, 0.0f, cols};
    for (int i = threadIdx.x; i < cols; i += THREADS) {
        const float x = logits[i];
        if (x > own.value) {
            own.sum = own.sum * expf(own.value - x) + 1.0f;
            own.value = x;
            own.place = i;
        } else {
            own.sum += expf(x - own.value);
        }
    }
    for (int mask = 16; mask > 0; mask /= 2) {
        summit other = {from_lane(own.value, mask), from_lane(own.sum, mask), from_lane(own.place, mask)};
        // The lower lane's part comes first on both sides, so that both get the same bits.
        own = threadIdx.x & mask ? join(other, own) : join(own, other);
    }
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = own;
    __syncthreads();
    summit all = parts[0];
    for (int i = 1; i < WARPS; i++) all = join(all, parts[i]);
    const int target = targets[row];
    if (threadIdx.x == 0) {
        loss[row] = logf(all.sum) - (logits[target] - all.value);
        correct[row] = all.place == target;
        maximum[row] = all.value;
        sum[row] = all.sum;
    }
    if (!moments) return;
    float first = 0;
    for (int i = threadIdx.x; i < cols; i += THREADS) {
        const float x = logits[i] - all.value;
        first = fmaf(expf(x), x, first);
    }
    const float mean = block_sum(first, memory) / all.sum;
    float second = 0;
    for (int i = threadIdx.x; i < cols; i += THREADS) {
        const float x = logits[i] - all.value;
        second = fmaf(expf(x) * (x - mean), x - mean, second);
    }
    second = block_sum(second, memory) / all.sum;
    if (threadIdx.x == 0) {
        moments[2 * row] = mean - logf(all.sum);
        moments[2 * row + 1] = second;
    }
}

/// gradient(P, ld) = weight * (softmax - onehot), zero from column `cols` on and for a weight of 0.
KERNEL(THREADS)
cross_entropy_backward(bf16 *gradient, const float *logits, int ld, int cols, const int *targets, const float *maximum,
    const float *sum, const float *weights) {
    const int row = blockIdx.x, target = targets[row];
    logits += (long long)row * ld;
    gradient += (long long)row * ld;
    const float m = maximum[row], weight = weights[row], factor = weight / sum[row];
    for (int i = 2 * threadIdx.x; i < ld; i += 2 * THREADS) {
        float d[2];
        for (int j = 0; j < 2; j++) {
            const bool counts = i + j < cols && weight != 0;
            d[j] = counts ? expf(logits[i + j] - m) * factor : 0.0f;
            if (counts && i + j == target) d[j] -= weight;
        }
        *(word *)(gradient + i) = pack(d[0], d[1]);
    }
}
