// SPDX-License-Identifier: Apache-2.0
//
// What only a card has: the instructions that the kernels are made of, by the names under which they use them. The tests
// give these names other bodies (Tests/CUDAHost) and compile the rest of this folder for the processor.

#ifndef KERNEL
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
#define DEVICE static __device__ __forceinline__
#define DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]

typedef unsigned short bf16;
/// Two bf16, the first one in the lower half.
typedef unsigned int word;

/// Both rounded to nearest, ties to even.
DEVICE word pack(float low, float high) {
    word both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}

DEVICE float bits_as_float(unsigned int bits) { return __uint_as_float(bits); }

/// 2^x, at most 2 ulp off; 0 for -infinity.
DEVICE float power_of_two(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

DEVICE float from_lane(float x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }
DEVICE double from_lane(double x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }
DEVICE int from_lane(int x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }

/// Four 8 x 8 matrices; lane l gives the address of row l % 8 of matrix l / 8, and gets of each matrix the elements
/// 2 (l % 4) and the next one of row l / 4.
DEVICE void load_matrices(word r[4], const bf16 *row) {
    const unsigned int address = (unsigned int)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

/// The same of the transposed matrices.
DEVICE void load_transposed(word r[4], const bf16 *row) {
    const unsigned int address = (unsigned int)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

/// c(16,8) += a(16,16) · b(16,8) of one warp. With g = lane / 4 and t = lane % 4: a holds rows g and g + 8 at columns 2t, then
/// both at 2t + 8; b rows 2t and 2t + 8 of column g; c rows g and g + 8 at columns 2t and 2t + 1.
DEVICE void multiply_add(float c[4], const word a[4], word b0, word b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#endif
