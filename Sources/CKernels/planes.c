// SPDX-License-Identifier: Apache-2.0

#include "ckernels_planes.h"

#include <stdatomic.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET(isa) __attribute__((target(isa)))
#define AVX2 TARGET("avx2")
#define AVX512 TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx2")
#endif

int ck_planes_level(void) {
#if defined(__x86_64__)
    // 0 is "not asked yet"; every thread would store the same value, so relaxed order is enough.
    static _Atomic int known = 0;
    int level = atomic_load_explicit(&known, memory_order_relaxed);
    if (level == 0) {
        __builtin_cpu_init();
        int wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
        level = 1 + (__builtin_cpu_supports("avx2") ? (wide ? CK_PLANES_AVX512 : CK_PLANES_AVX2)
                                                    : CK_PLANES_SCALAR);
        atomic_store_explicit(&known, level, memory_order_relaxed);
    }
    return level - 1;
#else
    return CK_PLANES_SCALAR;
#endif
}

// One element, any width; also the tail of the vector loops.

static inline uint64_t load(const uint8_t *at, int width) {
    uint64_t value = 0;
    for (int k = 0; k < width; k++) value |= (uint64_t)at[k] << (8 * k);
    return value;
}

static inline void split_from(size_t i, int width, int rotate, const uint8_t *raw, size_t count,
                              uint8_t *const *planes) {
    const int bits = 8 * width;
    for (; i < count; i++) {
        uint64_t v = load(raw + i * (size_t)width, width);
        if (rotate) v = (v << 1) | (v >> (bits - 1));
        for (int k = 0; k < width; k++) planes[k][i] = (uint8_t)(v >> (8 * k));
    }
}

static inline void merge_from(size_t i, int width, int rotate, const uint8_t *const *planes, size_t count,
                              uint8_t *raw) {
    const int bits = 8 * width;
    for (; i < count; i++) {
        uint64_t v = 0;
        for (int k = 0; k < width; k++) v |= (uint64_t)planes[k][i] << (8 * k);
        if (rotate) v = (v >> 1) | ((v & 1) << (bits - 1));
        for (int k = 0; k < width; k++) raw[i * (size_t)width + (size_t)k] = (uint8_t)(v >> (8 * k));
    }
}

#if defined(__x86_64__)

AVX2 static size_t split2_avx2(int rotate, const uint8_t *raw, size_t count, uint8_t *p0, uint8_t *p1) {
    const __m256i mask = _mm256_set1_epi16(0xff);
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(raw + 2 * i));
        __m256i b = _mm256_loadu_si256((const __m256i *)(raw + 2 * i + 32));
        if (rotate) {
            a = _mm256_or_si256(_mm256_slli_epi16(a, 1), _mm256_srli_epi16(a, 15));
            b = _mm256_or_si256(_mm256_slli_epi16(b, 1), _mm256_srli_epi16(b, 15));
        }
        __m256i low = _mm256_packus_epi16(_mm256_and_si256(a, mask), _mm256_and_si256(b, mask));
        __m256i high = _mm256_packus_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8));
        _mm256_storeu_si256((__m256i *)(p0 + i), _mm256_permute4x64_epi64(low, 0xd8));
        _mm256_storeu_si256((__m256i *)(p1 + i), _mm256_permute4x64_epi64(high, 0xd8));
    }
    return i;
}

AVX2 static size_t merge2_avx2(int rotate, const uint8_t *p0, const uint8_t *p1, size_t count, uint8_t *raw) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m256i low = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(p0 + i)));
        __m256i high = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(p1 + i)));
        __m256i v = _mm256_or_si256(low, _mm256_slli_epi16(high, 8));
        if (rotate) v = _mm256_or_si256(_mm256_srli_epi16(v, 1), _mm256_slli_epi16(v, 15));
        _mm256_storeu_si256((__m256i *)(raw + 2 * i), v);
    }
    return i;
}

AVX2 static size_t split4_avx2(int rotate, const uint8_t *raw, size_t count, uint8_t *const *planes) {
    const __m256i mask = _mm256_set1_epi32(0xff);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m256i v[4];
        for (int j = 0; j < 4; j++) {
            v[j] = _mm256_loadu_si256((const __m256i *)(raw + 4 * i + 32 * (size_t)j));
            if (rotate) v[j] = _mm256_or_si256(_mm256_slli_epi32(v[j], 1), _mm256_srli_epi32(v[j], 31));
        }
        for (int k = 0; k < 4; k++) {
            __m256i t[4];
            for (int j = 0; j < 4; j++) t[j] = _mm256_and_si256(_mm256_srli_epi32(v[j], 8 * k), mask);
            __m256i bytes = _mm256_packus_epi16(_mm256_packus_epi32(t[0], t[1]), _mm256_packus_epi32(t[2], t[3]));
            _mm256_storeu_si256((__m256i *)(planes[k] + i), _mm256_permutevar8x32_epi32(bytes, order));
        }
    }
    return i;
}

AVX2 static size_t merge4_avx2(int rotate, const uint8_t *const *planes, size_t count, uint8_t *raw) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256i v = _mm256_setzero_si256();
        for (int k = 0; k < 4; k++) {
            __m256i byte = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(planes[k] + i)));
            v = _mm256_or_si256(v, _mm256_slli_epi32(byte, 8 * k));
        }
        if (rotate) v = _mm256_or_si256(_mm256_srli_epi32(v, 1), _mm256_slli_epi32(v, 31));
        _mm256_storeu_si256((__m256i *)(raw + 4 * i), v);
    }
    return i;
}

AVX512 static size_t split2_avx512(int rotate, const uint8_t *raw, size_t count, uint8_t *p0, uint8_t *p1) {
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m512i v = _mm512_loadu_si512(raw + 2 * i);
        if (rotate) v = _mm512_or_si512(_mm512_slli_epi16(v, 1), _mm512_srli_epi16(v, 15));
        _mm256_storeu_si256((__m256i *)(p0 + i), _mm512_cvtepi16_epi8(v));
        _mm256_storeu_si256((__m256i *)(p1 + i), _mm512_cvtepi16_epi8(_mm512_srli_epi16(v, 8)));
    }
    return i;
}

AVX512 static size_t merge2_avx512(int rotate, const uint8_t *p0, const uint8_t *p1, size_t count, uint8_t *raw) {
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m512i low = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(p0 + i)));
        __m512i high = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(p1 + i)));
        __m512i v = _mm512_or_si512(low, _mm512_slli_epi16(high, 8));
        if (rotate) v = _mm512_or_si512(_mm512_srli_epi16(v, 1), _mm512_slli_epi16(v, 15));
        _mm512_storeu_si512(raw + 2 * i, v);
    }
    return i;
}

AVX512 static size_t split4_avx512(int rotate, const uint8_t *raw, size_t count, uint8_t *const *planes) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m512i v = _mm512_loadu_si512(raw + 4 * i);
        if (rotate) v = _mm512_rol_epi32(v, 1);
        for (int k = 0; k < 4; k++) {
            _mm_storeu_si128((__m128i *)(planes[k] + i),
                             _mm512_cvtepi32_epi8(_mm512_srli_epi32(v, (unsigned)(8 * k))));
        }
    }
    return i;
}

AVX512 static size_t merge4_avx512(int rotate, const uint8_t *const *planes, size_t count, uint8_t *raw) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m512i v = _mm512_setzero_si512();
        for (int k = 0; k < 4; k++) {
            __m512i byte = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(planes[k] + i)));
            v = _mm512_or_si512(v, _mm512_slli_epi32(byte, (unsigned)(8 * k)));
        }
        if (rotate) v = _mm512_ror_epi32(v, 1);
        _mm512_storeu_si512(raw + 4 * i, v);
    }
    return i;
}

#endif

void ck_planes_split(int level, int width, int rotate, const uint8_t *raw, size_t count,
                     uint8_t *const *planes) {
    size_t done = 0;
#if defined(__x86_64__)
    if (width == 2 && level >= CK_PLANES_AVX512) {
        done = split2_avx512(rotate, raw, count, planes[0], planes[1]);
    } else if (width == 2 && level == CK_PLANES_AVX2) {
        done = split2_avx2(rotate, raw, count, planes[0], planes[1]);
    } else if (width == 4 && level >= CK_PLANES_AVX512) {
        done = split4_avx512(rotate, raw, count, planes);
    } else if (width == 4 && level == CK_PLANES_AVX2) {
        done = split4_avx2(rotate, raw, count, planes);
    }
#else
    (void)level;
#endif
    // Constant widths let the compiler unroll the portable loop.
    if (width == 2) split_from(done, 2, rotate, raw, count, planes);
    if (width == 4) split_from(done, 4, rotate, raw, count, planes);
    if (width == 8) split_from(done, 8, rotate, raw, count, planes);
}

void ck_planes_merge(int level, int width, int rotate, const uint8_t *const *planes, size_t count,
                     uint8_t *raw) {
    size_t done = 0;
#if defined(__x86_64__)
    if (width == 2 && level >= CK_PLANES_AVX512) {
        done = merge2_avx512(rotate, planes[0], planes[1], count, raw);
    } else if (width == 2 && level == CK_PLANES_AVX2) {
        done = merge2_avx2(rotate, planes[0], planes[1], count, raw);
    } else if (width == 4 && level >= CK_PLANES_AVX512) {
        done = merge4_avx512(rotate, planes, count, raw);
    } else if (width == 4 && level == CK_PLANES_AVX2) {
        done = merge4_avx2(rotate, planes, count, raw);
    }
#else
    (void)level;
#endif
    if (width == 2) merge_from(done, 2, rotate, planes, count, raw);
    if (width == 4) merge_from(done, 4, rotate, planes, count, raw);
    if (width == 8) merge_from(done, 8, rotate, planes, count, raw);
}
