// SPDX-License-Identifier: Apache-2.0
//
// Level 0: every kernel written plainly, with double accumulators and libm. The tests hold the vector levels
// against it; processors without vector kernels run it.

#include "ckernels.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

#pragma clang fp contract(off)

#include "scalar/attention.h"
#include "scalar/convert.h"
#include "scalar/elementwise.h"
#include "scalar/loss.h"
#include "scalar/norm.h"
#include "scalar/optimizer.h"

#include "scalar/products.h"

#define CK_TABLE ck_kernels_scalar
#define CK_TABLE_LEVEL CK_LEVEL_SCALAR
#define CK_TABLE_NAME "scalar"
#define CK_SPIN_OPERATIONS 2
#include "body/kernels.h"
