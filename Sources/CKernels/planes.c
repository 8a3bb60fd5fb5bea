// SPDX-License-Identifier: Apache-2.0

#include "ckernels_planes.h"

#include <stdatomic.h>
#include <string.h>

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

static inline void split_from(size_t i, int width, int rotate, const uint8_t *raw, size_t count, uint8_t *planes,
                              size_t stride) {
    const int bits = 8 * width;
    for (; i < count; i++) {
        uint64_t v = load(raw + i * (size_t)width, width);
        if (rotate) v = (v << 1) | (v >> (bits - 1));
        for (int k = 0; k < width; k++) planes[(size_t)k * stride + i] = (uint8_t)(v >> (8 * k));
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

AVX2 static size_t split4_avx2(int rotate, const uint8_t *raw, size_t count, uint8_t *planes, size_t stride) {
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
            _mm256_storeu_si256((__m256i *)(planes + (size_t)k * stride + i),
                                _mm256_permutevar8x32_epi32(bytes, order));
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

AVX512 static size_t split4_avx512(int rotate, const uint8_t *raw, size_t count, uint8_t *planes, size_t stride) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m512i v = _mm512_loadu_si512(raw + 4 * i);
        if (rotate) v = _mm512_rol_epi32(v, 1);
        for (int k = 0; k < 4; k++) {
            _mm_storeu_si128((__m128i *)(planes + (size_t)k * stride + i),
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

void ck_planes_split(int level, int width, int rotate, const uint8_t *raw, size_t count, uint8_t *planes,
                     size_t stride) {
    size_t done = 0;
#if defined(__x86_64__)
    if (width == 2 && level >= CK_PLANES_AVX512) {
        done = split2_avx512(rotate, raw, count, planes, planes + stride);
    } else if (width == 2 && level == CK_PLANES_AVX2) {
        done = split2_avx2(rotate, raw, count, planes, planes + stride);
    } else if (width == 4 && level >= CK_PLANES_AVX512) {
        done = split4_avx512(rotate, raw, count, planes, stride);
    } else if (width == 4 && level == CK_PLANES_AVX2) {
        done = split4_avx2(rotate, raw, count, planes, stride);
    }
#else
    (void)level;
#endif
    // Constant widths let the compiler unroll the portable loop.
    if (width == 2) split_from(done, 2, rotate, raw, count, planes, stride);
    if (width == 4) split_from(done, 4, rotate, raw, count, planes, stride);
    if (width == 8) split_from(done, 8, rotate, raw, count, planes, stride);
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

static const uint32_t crc_table[256] = {
    0x00000000, 0xf26b8303, 0xe13b70f7, 0x1350f3f4, 0xc79a971f, 0x35f1141c, 0x26a1e7e8, 0xd4ca64eb,
    0x8ad958cf, 0x78b2dbcc, 0x6be22838, 0x9989ab3b, 0x4d43cfd0, 0xbf284cd3, 0xac78bf27, 0x5e133c24,
    0x105ec76f, 0xe235446c, 0xf165b798, 0x030e349b, 0xd7c45070, 0x25afd373, 0x36ff2087, 0xc494a384,
    0x9a879fa0, 0x68ec1ca3, 0x7bbcef57, 0x89d76c54, 0x5d1d08bf, 0xaf768bbc, 0xbc267848, 0x4e4dfb4b,
    0x20bd8ede, 0xd2d60ddd, 0xc186fe29, 0x33ed7d2a, 0xe72719c1, 0x154c9ac2, 0x061c6936, 0xf477ea35,
    0xaa64d611, 0x580f5512, 0x4b5fa6e6, 0xb93425e5, 0x6dfe410e, 0x9f95c20d, 0x8cc531f9, 0x7eaeb2fa,
    0x30e349b1, 0xc288cab2, 0xd1d83946, 0x23b3ba45, 0xf779deae, 0x05125dad, 0x1642ae59, 0xe4292d5a,
    0xba3a117e, 0x4851927d, 0x5b016189, 0xa96ae28a, 0x7da08661, 0x8fcb0562, 0x9c9bf696, 0x6ef07595,
    0x417b1dbc, 0xb3109ebf, 0xa0406d4b, 0x522bee48, 0x86e18aa3, 0x748a09a0, 0x67dafa54, 0x95b17957,
    0xcba24573, 0x39c9c670, 0x2a993584, 0xd8f2b687, 0x0c38d26c, 0xfe53516f, 0xed03a29b, 0x1f682198,
    0x5125dad3, 0xa34e59d0, 0xb01eaa24, 0x42752927, 0x96bf4dcc, 0x64d4cecf, 0x77843d3b, 0x85efbe38,
    0xdbfc821c, 0x2997011f, 0x3ac7f2eb, 0xc8ac71e8, 0x1c661503, 0xee0d9600, 0xfd5d65f4, 0x0f36e6f7,
    0x61c69362, 0x93ad1061, 0x80fde395, 0x72966096, 0xa65c047d, 0x5437877e, 0x4767748a, 0xb50cf789,
    0xeb1fcbad, 0x197448ae, 0x0a24bb5a, 0xf84f3859, 0x2c855cb2, 0xdeeedfb1, 0xcdbe2c45, 0x3fd5af46,
    0x7198540d, 0x83f3d70e, 0x90a324fa, 0x62c8a7f9, 0xb602c312, 0x44694011, 0x5739b3e5, 0xa55230e6,
    0xfb410cc2, 0x092a8fc1, 0x1a7a7c35, 0xe811ff36, 0x3cdb9bdd, 0xceb018de, 0xdde0eb2a, 0x2f8b6829,
    0x82f63b78, 0x709db87b, 0x63cd4b8f, 0x91a6c88c, 0x456cac67, 0xb7072f64, 0xa457dc90, 0x563c5f93,
    0x082f63b7, 0xfa44e0b4, 0xe9141340, 0x1b7f9043, 0xcfb5f4a8, 0x3dde77ab, 0x2e8e845f, 0xdce5075c,
    0x92a8fc17, 0x60c37f14, 0x73938ce0, 0x81f80fe3, 0x55326b08, 0xa759e80b, 0xb4091bff, 0x466298fc,
    0x1871a4d8, 0xea1a27db, 0xf94ad42f, 0x0b21572c, 0xdfeb33c7, 0x2d80b0c4, 0x3ed04330, 0xccbbc033,
    0xa24bb5a6, 0x502036a5, 0x4370c551, 0xb11b4652, 0x65d122b9, 0x97baa1ba, 0x84ea524e, 0x7681d14d,
    0x2892ed69, 0xdaf96e6a, 0xc9a99d9e, 0x3bc21e9d, 0xef087a76, 0x1d63f975, 0x0e330a81, 0xfc588982,
    0xb21572c9, 0x407ef1ca, 0x532e023e, 0xa145813d, 0x758fe5d6, 0x87e466d5, 0x94b49521, 0x66df1622,
    0x38cc2a06, 0xcaa7a905, 0xd9f75af1, 0x2b9cd9f2, 0xff56bd19, 0x0d3d3e1a, 0x1e6dcdee, 0xec064eed,
    0xc38d26c4, 0x31e6a5c7, 0x22b65633, 0xd0ddd530, 0x0417b1db, 0xf67c32d8, 0xe52cc12c, 0x1747422f,
    0x49547e0b, 0xbb3ffd08, 0xa86f0efc, 0x5a048dff, 0x8ecee914, 0x7ca56a17, 0x6ff599e3, 0x9d9e1ae0,
    0xd3d3e1ab, 0x21b862a8, 0x32e8915c, 0xc083125f, 0x144976b4, 0xe622f5b7, 0xf5720643, 0x07198540,
    0x590ab964, 0xab613a67, 0xb831c993, 0x4a5a4a90, 0x9e902e7b, 0x6cfbad78, 0x7fab5e8c, 0x8dc0dd8f,
    0xe330a81a, 0x115b2b19, 0x020bd8ed, 0xf0605bee, 0x24aa3f05, 0xd6c1bc06, 0xc5914ff2, 0x37faccf1,
    0x69e9f0d5, 0x9b8273d6, 0x88d28022, 0x7ab90321, 0xae7367ca, 0x5c18e4c9, 0x4f48173d, 0xbd23943e,
    0xf36e6f75, 0x0105ec76, 0x12551f82, 0xe03e9c81, 0x34f4f86a, 0xc69f7b69, 0xd5cf889d, 0x27a40b9e,
    0x79b737ba, 0x8bdcb4b9, 0x988c474d, 0x6ae7c44e, 0xbe2da0a5, 0x4c4623a6, 0x5f16d052, 0xad7d5351,
};

uint32_t ck_crc32c_scalar(uint32_t seed, const uint8_t *bytes, size_t count) {
    uint32_t crc = ~seed;
    for (size_t i = 0; i < count; i++) crc = (crc >> 8) ^ crc_table[(crc ^ bytes[i]) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)
TARGET("sse4.2") static uint32_t crc32c_sse42(uint32_t seed, const uint8_t *bytes, size_t count) {
    uint64_t crc = (uint32_t)~seed;
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        crc = _mm_crc32_u64(crc, word);
        bytes += 8;
        count -= 8;
    }
    uint32_t rest = (uint32_t)crc;
    while (count-- > 0) rest = _mm_crc32_u8(rest, *bytes++);
    return ~rest;
}
#endif

uint32_t ck_crc32c(uint32_t seed, const uint8_t *bytes, size_t count) {
#if defined(__x86_64__)
    // Every processor with AVX2 has SSE 4.2.
    if (ck_planes_level() >= CK_PLANES_AVX2) return crc32c_sse42(seed, bytes, count);
#endif
    return ck_crc32c_scalar(seed, bytes, count);
}
