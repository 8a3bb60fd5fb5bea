// SPDX-License-Identifier: Apache-2.0
//
// Task-vector arithmetic, block by block, in plain loops that the compiler turns into vectors of the level at hand.
// TV(name) gives each level its own names. Elementwise and without contraction: every level gives the same bits.

/// Half to single, exact: the exponent is moved by a multiplication, which also normalises subnormals.
static inline uint32_t TV(widen_f16)(uint16_t half) {
    uint32_t bits = (uint32_t)(half & 0x7FFF) << 13;
    float value;
    memcpy(&value, &bits, 4);
    value *= 0x1p112f;
    memcpy(&bits, &value, 4);
    // Infinity and NaN had the largest exponent and have it again.
    bits |= (half & 0x7C00) == 0x7C00 ? 0x7F800000u : 0;
    return bits | (uint32_t)(half & 0x8000) << 16;
}

/// Single to half, nearest, ties to even; not for NaN.
static inline uint16_t TV(narrow_f16)(uint32_t bits) {
    const uint32_t sign = bits & 0x80000000u;
    const uint32_t size = bits ^ sign;
    const uint32_t normal = (size + 0xC8000FFFu + ((size >> 13) & 1)) >> 13;
    // Subnormal halves: adding 1/2 makes the adder round at the right place.
    float value;
    memcpy(&value, &size, 4);
    value += 0.5f;
    uint32_t shifted;
    memcpy(&shifted, &value, 4);
    const uint32_t small = shifted - 0x3F000000u;
    uint32_t result = size < 0x38800000u ? small : normal;
    result = size >= 0x47800000u ? 0x7C00u : result;
    return (uint16_t)(result | sign >> 16);
}

static void TV(load_f32)(float *values, int type, const char *bytes, size_t count) {
    uint16_t halves[TV_BLOCK];
    double doubles[TV_BLOCK];
    switch (type) {
    case CK_TASKVECTOR_F16:
        memcpy(halves, bytes, count * 2);
        for (size_t i = 0; i < count; i++) {
            uint32_t bits = TV(widen_f16)(halves[i]);
            memcpy(&values[i], &bits, 4);
        }
        break;
    case CK_TASKVECTOR_BF16:
        memcpy(halves, bytes, count * 2);
        for (size_t i = 0; i < count; i++) {
            uint32_t bits = (uint32_t)halves[i] << 16;
            memcpy(&values[i], &bits, 4);
        }
        break;
    case CK_TASKVECTOR_F64:
        memcpy(doubles, bytes, count * 8);
        for (size_t i = 0; i < count; i++) values[i] = (float)doubles[i];
        break;
    default: memcpy(values, bytes, count * 4);
    }
}

static void TV(load_f64)(double *values, int type, const char *bytes, size_t count) {
    if (type == CK_TASKVECTOR_F64) {
        memcpy(values, bytes, count * 8);
        return;
    }
    float singles[TV_BLOCK];
    TV(load_f32)(singles, type, bytes, count);
    for (size_t i = 0; i < count; i++) values[i] = (double)singles[i];
}

/// Stores r; where r is NaN, the old bits of a target that was NaN, or else the quiet NaN.
static void TV(store_f32)(char *bytes, int type, const float *r, const float *target, size_t count) {
    if (type == CK_TASKVECTOR_F32) {
        uint32_t words[TV_BLOCK];
        for (size_t i = 0; i < count; i++) {
            uint32_t bits, old;
            memcpy(&bits, &r[i], 4);
            memcpy(&old, &target[i], 4);
            const uint32_t nan = (old & 0x7FFFFFFFu) > 0x7F800000u ? old : 0x7FC00000u;
            words[i] = (bits & 0x7FFFFFFFu) > 0x7F800000u ? nan : bits;
        }
        memcpy(bytes, words, count * 4);
        return;
    }
    uint16_t halves[TV_BLOCK];
    memcpy(halves, bytes, count * 2);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &r[i], 4);
        const uint16_t old = halves[i];
        if (type == CK_TASKVECTOR_F16) {
            const uint16_t nan = (old & 0x7FFF) > 0x7C00 ? old : 0x7E00;
            halves[i] = (bits & 0x7FFFFFFFu) > 0x7F800000u ? nan : TV(narrow_f16)(bits);
        } else {
            const uint16_t nan = (old & 0x7FFF) > 0x7F80 ? old : 0x7FC0;
            const uint16_t rounded = (uint16_t)((bits + 0x7FFFu + ((bits >> 16) & 1)) >> 16);
            halves[i] = (bits & 0x7FFFFFFFu) > 0x7F800000u ? nan : rounded;
        }
    }
    memcpy(bytes, halves, count * 2);
}

static void TV(store_f64)(char *bytes, const double *r, const double *target, size_t count) {
    uint64_t words[TV_BLOCK];
    for (size_t i = 0; i < count; i++) {
        uint64_t bits, old;
        memcpy(&bits, &r[i], 8);
        memcpy(&old, &target[i], 8);
        const uint64_t size = ~(UINT64_C(1) << 63), infinity = UINT64_C(0x7FF) << 52;
        const uint64_t nan = (old & size) > infinity ? old : UINT64_C(0x7FF8) << 48;
        words[i] = (bits & size) > infinity ? nan : bits;
    }
    memcpy(bytes, words, count * 8);
}

static void TV(edit)(int target_type, char *target, int finetuned_type, const char *finetuned, int base_type,
    const char *base, size_t count, double scale) {
    const size_t widths[] = {2, 2, 4, 8};
    const size_t target_width = widths[target_type], finetuned_width = widths[finetuned_type];
    const size_t base_width = base ? widths[base_type] : 0;
    for (size_t start = 0; start < count; start += TV_BLOCK) {
        const size_t n = count - start < TV_BLOCK ? count - start : TV_BLOCK;
        char *t_bytes = target + start * target_width;
        const char *f_bytes = finetuned + start * finetuned_width;
        const char *b_bytes = base + start * base_width;
        if (target_type == CK_TASKVECTOR_F64) {
            double t[TV_BLOCK], f[TV_BLOCK], b[TV_BLOCK];
            TV(load_f64)(t, target_type, t_bytes, n);
            TV(load_f64)(f, finetuned_type, f_bytes, n);
            if (base) TV(load_f64)(b, base_type, b_bytes, n);
            const double *from = base ? b : t;
            for (size_t i = 0; i < n; i++) {
                const double d = f[i] - from[i];
                const double p = scale * d;
                f[i] = t[i] - p;
            }
            TV(store_f64)(t_bytes, f, t, n);
        } else {
            const float s = (float)scale;
            float t[TV_BLOCK], f[TV_BLOCK], b[TV_BLOCK];
            TV(load_f32)(t, target_type, t_bytes, n);
            TV(load_f32)(f, finetuned_type, f_bytes, n);
            if (base) TV(load_f32)(b, base_type, b_bytes, n);
            const float *from = base ? b : t;
            for (size_t i = 0; i < n; i++) {
                const float d = f[i] - from[i];
                const float p = s * d;
                f[i] = t[i] - p;
            }
            TV(store_f32)(t_bytes, target_type, f, t, n);
        }
    }
}

/// The bits of |finetuned - base| in single precision.
static void TV(sizes_f32)(uint32_t *sizes, int target_type, const char *target, int finetuned_type,
    const char *finetuned, int base_type, const char *base, size_t count) {
    const size_t widths[] = {2, 2, 4, 8};
    for (size_t start = 0; start < count; start += TV_BLOCK) {
        const size_t n = count - start < TV_BLOCK ? count - start : TV_BLOCK;
        float f[TV_BLOCK], b[TV_BLOCK];
        TV(load_f32)(f, finetuned_type, finetuned + start * widths[finetuned_type], n);
        if (base) TV(load_f32)(b, base_type, base + start * widths[base_type], n);
        else TV(load_f32)(b, target_type, target + start * widths[target_type], n);
        for (size_t i = 0; i < n; i++) f[i] = f[i] - b[i];
        memcpy(sizes + start, f, n * 4);
        for (size_t i = 0; i < n; i++) sizes[start + i] &= 0x7FFFFFFFu;
    }
}

/// The same in double precision.
static void TV(sizes_f64)(uint64_t *sizes, int target_type, const char *target, int finetuned_type,
    const char *finetuned, int base_type, const char *base, size_t count) {
    const size_t widths[] = {2, 2, 4, 8};
    for (size_t start = 0; start < count; start += TV_BLOCK) {
        const size_t n = count - start < TV_BLOCK ? count - start : TV_BLOCK;
        double f[TV_BLOCK], b[TV_BLOCK];
        TV(load_f64)(f, finetuned_type, finetuned + start * widths[finetuned_type], n);
        if (base) TV(load_f64)(b, base_type, base + start * widths[base_type], n);
        else TV(load_f64)(b, target_type, target + start * widths[target_type], n);
        for (size_t i = 0; i < n; i++) f[i] = f[i] - b[i];
        memcpy(sizes + start, f, n * 8);
        for (size_t i = 0; i < n; i++) sizes[start + i] &= ~(UINT64_C(1) << 63);
    }
}
