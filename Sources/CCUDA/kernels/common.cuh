// SPDX-License-Identifier: Apache-2.0
//
// What all kernels share. Row-major everywhere; N rows (tokens), C channels, I inner size, V vocabulary, D head size.
// Sums run in an order that the sizes alone decide, and nothing is added atomically: the same card gives the same bits.

/// Threads of a block, unless a kernel says otherwise.
#define THREADS 256
#define WARPS (THREADS / 32)

#define INFINITE bits_as_float(0x7f800000u)

/// Eight bf16 that are read and written at once.
struct __align__(16) octet {
    word w[4];
};

DEVICE float to_float(bf16 x) { return bits_as_float((unsigned int)x << 16); }
DEVICE float low(word x) { return bits_as_float(x << 16); }
DEVICE float high(word x) { return bits_as_float(x & 0xffff0000u); }
DEVICE bf16 to_bf16(float x) { return (bf16)(pack(x, 0.0f) & 0xffffu); }

DEVICE float warp_sum(float x) {
    for (int mask = 16; mask > 0; mask /= 2) x += from_lane(x, mask);
    return x;
}

/// The sum over a block, for every thread; `memory` holds WARPS values.
DEVICE float block_sum(float x, float *memory) {
    x = warp_sum(x);
    __syncthreads();
    if (threadIdx.x % 32 == 0) memory[threadIdx.x / 32] = x;
    __syncthreads();
    float sum = 0;
    for (int i = 0; i < WARPS; i++) sum += memory[i];
    return sum;
}
