// SPDX-License-Identifier: Apache-2.0
//
// 16-bit floats to f32 and back.

typedef _Float16 half_lanes __attribute__((ext_vector_type(16)));

INLINE halves ld16(const uint16_t *p, long k) {
    if (k == 16) return *(const unaligned_halves *)p;
    halves v = 0;
    memcpy(&v, p, (size_t)k * sizeof(uint16_t));
    return v;
}

INLINE void st16(uint16_t *p, halves v, long k) {
    if (k == 16) *(unaligned_halves *)p = v;
    else memcpy(p, &v, (size_t)k * sizeof(uint16_t));
}

static void from_f16(float *y, const uint16_t *x, long n) {
    EACH(n, st(y + i, __builtin_convertvector(BITS(half_lanes, ld16(x + i, k)), lanes), k));
}

static void to_f16(uint16_t *y, const float *x, long n) {
    EACH(n, st16(y + i, BITS(halves, __builtin_convertvector(ld(x + i, k), half_lanes)), k));
}

static void from_bf16(float *y, const uint16_t *x, long n) {
    EACH(n, st(y + i, BITS(lanes, __builtin_convertvector(ld16(x + i, k), words) << 16), k));
}

/// The bits of the nearest bfloat16, ties to even.
INLINE words brain_bits(lanes x) {
    const words bits = BITS(words, x);
    const words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const words quiet = (bits >> 16) | 0x40;  // rounding could carry a NaN into infinity
    return ((bits & 0x7fffffff) > (words)0x7f800000) ? quiet : rounded;
}

static void to_bf16(uint16_t *y, const float *x, long n) {
    EACH(n, st16(y + i, __builtin_convertvector(brain_bits(ld(x + i, k)), halves), k));
}

static void round_bf16(float *x, long n) {
    EACH(n, st(x + i, BITS(lanes, brain_bits(ld(x + i, k)) << 16), k));
}
