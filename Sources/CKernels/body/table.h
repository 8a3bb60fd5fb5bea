// SPDX-License-Identifier: Apache-2.0
//
// All vector kernels of one level, and their table. Included once per level.

#include "lanes.h"
#include "tile.h"

#include "attention.h"
#include "convert.h"
#include "elementwise.h"
#include "panels.h"

#include "gemm.h"
#include "loss.h"
#include "norm.h"
#include "optimizer.h"
#include "spin.h"
#include "thin.h"

#define CK_SPIN_OPERATIONS (MR * NR * 2)
#include "kernels.h"
