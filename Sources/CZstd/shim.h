// SPDX-License-Identifier: Apache-2.0
// The experimental section carries the literal-compression parameter that the plane codec needs.
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>
