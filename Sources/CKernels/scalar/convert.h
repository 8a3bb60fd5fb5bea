// SPDX-License-Identifier: Apache-2.0
//
// 16-bit floats to f32 and back.

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void from_bf16(float *y, const uint16_t *x, long n) {
    for (long i = 0; i < n; i++) y[i] = float_of((uint32_t)x[i] << 16);
}

static void to_bf16(uint16_t *y, const float *x, long n) {
    for (long i = 0; i < n; i++) {
        const uint32_t bits = bits_of(x[i]);
        y[i] = (bits & 0x7fffffff) > 0x7f800000 ? (uint16_t)((bits >> 16) | 0x40)
                                                : (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }
}

static void from_f16(float *y, const uint16_t *x, long n) {
    for (long i = 0; i < n; i++) {
        const uint32_t sign = (uint32_t)(x[i] & 0x8000) << 16;
        const uint32_t exponent = (x[i] >> 10) & 31, fraction = x[i] & 0x3ff;
        if (exponent == 31)
            y[i] = float_of(sign | 0x7f800000 | (fraction ? 0x400000 | fraction << 13 : 0));
        else if (exponent)
            y[i] = float_of(sign | (exponent + 112) << 23 | fraction << 13);
        else
            y[i] = (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
    }
}

static void to_f16(uint16_t *y, const float *x, long n) {
    for (long i = 0; i < n; i++) {
        const uint32_t bits = bits_of(x[i]), magnitude = bits & 0x7fffffff;
        const uint16_t sign = (uint16_t)((bits >> 16) & 0x8000);
        if (magnitude > 0x7f800000) {
            y[i] = (uint16_t)(sign | 0x7e00 | ((magnitude >> 13) & 0x3ff));
        } else if (magnitude >= 0x477ff000) {  // 65520 and more round to infinity
            y[i] = sign | 0x7c00;
        } else if (magnitude < 0x38800000) {  // below 2^-14: counted in steps of 2^-24, rint is ties-to-even
            y[i] = (uint16_t)(sign | (uint16_t)rint((double)float_of(magnitude) * 0x1p24));
        } else {
            const uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
            y[i] = (uint16_t)(sign | ((rounded - 0x38000000) >> 13));
        }
    }
}

static void round_bf16(float *x, long n) {
    for (long i = 0; i < n; i++) {
        uint16_t half;
        to_bf16(&half, x + i, 1);
        from_bf16(x + i, &half, 1);
    }
}
