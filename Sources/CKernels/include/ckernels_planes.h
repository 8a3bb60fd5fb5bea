// SPDX-License-Identifier: Apache-2.0

// Byte planes and checksums for stored chunks.
//
// A plane holds one byte of every element. Floats whose sign sits in the exponent's byte are rotated left by one
// bit first, which moves the sign to the lowest bit and leaves the exponent alone in the top plane.
// All functions accept unaligned memory, allocate nothing and give the same bytes at every level.

#ifndef CKERNELS_PLANES_H
#define CKERNELS_PLANES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CK_PLANES_SCALAR = 0, CK_PLANES_AVX2 = 1, CK_PLANES_AVX512 = 2 };

/// The best level that this processor has; computed once.
int ck_planes_level(void);

/// Splits `count` little-endian elements of `width` bytes (2, 4 or 8) into `width` planes: `planes[k]` has room for
/// `count` bytes and gets byte k (0 is the lowest). `rotate` is 0 or 1. `level` is at most ck_planes_level().
void ck_planes_split(int level, int width, int rotate, const uint8_t *raw, size_t count,
                     uint8_t *const *planes);

/// The inverse. `planes[k]` points at `count` bytes.
void ck_planes_merge(int level, int width, int rotate, const uint8_t *const *planes, size_t count,
                     uint8_t *raw);

/// CRC-32C (Castagnoli, RFC 3720 B.4) of `count` bytes, continuing from `seed` (0 at the start).
uint32_t ck_crc32c(uint32_t seed, const uint8_t *bytes, size_t count);

/// The portable twin of ck_crc32c.
uint32_t ck_crc32c_scalar(uint32_t seed, const uint8_t *bytes, size_t count);

#ifdef __cplusplus
}
#endif
#endif
