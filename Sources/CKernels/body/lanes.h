// SPDX-License-Identifier: Apache-2.0
//
// Sixteen lanes, loads and stores with tails, reductions in one fixed order, and exp.
// Contraction is off: a multiply and an add fuse where FMA is written, and only there.

#include "../include/ckernels.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

#pragma clang fp contract(off)
// Vectors wider than the level's registers pass only between inlined functions: no ABI is involved.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float lanes __attribute__((ext_vector_type(16)));
typedef double doubles __attribute__((ext_vector_type(16)));
typedef int32_t ints __attribute__((ext_vector_type(16)));
typedef uint32_t words __attribute__((ext_vector_type(16)));
typedef uint16_t halves __attribute__((ext_vector_type(16)));
typedef lanes unaligned_lanes __attribute__((aligned(4), may_alias));
typedef halves unaligned_halves __attribute__((aligned(2), may_alias));

#define INLINE static inline __attribute__((always_inline))
/// The same bits as another vector type: that is what a cast between vectors means.
#define BITS(type, ...) ((type)(__VA_ARGS__))
#define FMA(x, y, z) __builtin_elementwise_fma((lanes)(x), (lanes)(y), (lanes)(z))

/// Loads k <= 16 floats; missing lanes are 0.
INLINE lanes ld(const float *p, long k) {
    if (k == 16) return *(const unaligned_lanes *)p;
    lanes v = 0;
    memcpy(&v, p, (size_t)k * sizeof(float));
    return v;
}

INLINE void st(float *p, lanes v, long k) {
    if (k == 16) *(unaligned_lanes *)p = v;
    else memcpy(p, &v, (size_t)k * sizeof(float));
}

/// v in the first k lanes, `other` in the rest.
INLINE lanes keep(lanes v, long k, float other) {
    if (k == 16) return v;
    const ints index = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return (index < (ints)(int32_t)k) ? v : (lanes)other;
}

INLINE float lanes_sum(lanes v) {
    float __attribute__((ext_vector_type(8))) a = v.lo + v.hi;
    float __attribute__((ext_vector_type(4))) b = a.lo + a.hi;
    float __attribute__((ext_vector_type(2))) c = b.lo + b.hi;
    return c.x + c.y;
}

INLINE lanes larger(lanes a, lanes b) { return (a > b) ? a : b; }

INLINE float lanes_max(lanes v) {
    float m = v[0];
    for (int j = 1; j < 16; j++) m = v[j] > m ? v[j] : m;
    return m;
}

/// Runs the statements for i = 0, 16, … with k = 16, then once with the k < 16 that remain.
#define EACH(n, ...)                                                                                     \
    do {                                                                                                 \
        long i = 0;                                                                                      \
        {                                                                                                \
            enum { k = 16 };                                                                             \
            for (; i + 16 <= (n); i += 16) { __VA_ARGS__; }                                              \
        }                                                                                                \
        if (i < (n)) {                                                                                   \
            const long k = (n) - i;                                                                      \
            __VA_ARGS__;                                                                                 \
        }                                                                                                \
    } while (0)

/// out = sum over i of X * Y, four accumulators, fixed order. X and Y may use i and k.
#define SUM(out, n, X, Y)                                                                                \
    do {                                                                                                 \
        lanes s0 = 0, s1 = 0, s2 = 0, s3 = 0;                                                            \
        long i = 0;                                                                                      \
        {                                                                                                \
            enum { k = 16 };                                                                             \
            for (; i + 64 <= (n); i += 16) {                                                             \
                s0 = FMA(X, Y, s0), i += 16;                                                             \
                s1 = FMA(X, Y, s1), i += 16;                                                             \
                s2 = FMA(X, Y, s2), i += 16;                                                             \
                s3 = FMA(X, Y, s3);                                                                      \
            }                                                                                            \
            for (; i + 16 <= (n); i += 16) s0 = FMA(X, Y, s0);                                           \
        }                                                                                                \
        if (i < (n)) {                                                                                   \
            const long k = (n) - i;                                                                      \
            s1 = FMA(keep(X, k, 0), keep(Y, k, 0), s1);                                                  \
        }                                                                                                \
        out = lanes_sum((s0 + s1) + (s2 + s3));                                                          \
    } while (0)

/// The largest value; NaN lanes lose.
INLINE float maximum(const float *x, long n) {
    lanes m0 = -INFINITY, m1 = -INFINITY;
    long i = 0;
    for (; i + 32 <= n; i += 32) {
        m0 = larger(ld(x + i, 16), m0);
        m1 = larger(ld(x + i + 16, 16), m1);
    }
    for (; i + 16 <= n; i += 16) m0 = larger(ld(x + i, 16), m0);
    if (i < n) m1 = larger(keep(ld(x + i, n - i), n - i, -INFINITY), m1);
    return lanes_max(larger(m0, m1));
}

/// exp(x): x = n ln2 + r with |r| <= ln2/2, Cephes' polynomial for exp(r), then two exact scalings, so that
/// subnormal results are right. NaN stays NaN.
INLINE lanes exponential_lanes(lanes x) {
    x = (x > 89.0f) ? (lanes)89.0f : x;
    x = (x < -104.5f) ? (lanes)-104.5f : x;
    const lanes magic = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
    const lanes t = FMA(x, 1.44269504f, magic);
    const lanes n = t - magic;
    const ints ni = BITS(ints, t) - BITS(ints, magic);
    lanes r = FMA(n, -0.693359375f, x);
    r = FMA(n, 2.12194440e-4f, r);
    lanes p = 1.9875691500e-4f;
    p = FMA(p, r, 1.3981999507e-3f);
    p = FMA(p, r, 8.3334519073e-3f);
    p = FMA(p, r, 4.1665795894e-2f);
    p = FMA(p, r, 1.6666665459e-1f);
    p = FMA(p, r, 5.0000001201e-1f);
    p = FMA(p, r * r, r) + 1.0f;
    const ints half = ni >> 1;
    const lanes a = BITS(lanes, (half + 127) << 23);
    const lanes b = BITS(lanes, (ni - half + 127) << 23);
    return (p * a) * b;
}
