// SPDX-License-Identifier: Apache-2.0
//
// All vector kernels of one level, and their table. Included once per level.

#include "lanes.h"

#include "attention.h"
#include "convert.h"
#include "elementwise.h"
#include "gemm.h"
#include "loss.h"
#include "norm.h"
#include "optimizer.h"
#include "thin.h"

const ck_kernels CK_TABLE = {
    .level = CK_TABLE_LEVEL,
    .name = CK_TABLE_NAME,
    .norm_forward = norm_forward,
    .norm_backward_input = norm_backward_input,
    .norm_backward_weight = norm_backward_weight,
    .add_bias = add_bias,
    .column_sum = column_sum,
    .add = add,
    .accumulate = accumulate,
    .scale = scale,
    .multiply = multiply,
    .clip = clip,
    .clip_backward = clip_backward,
    .soft_cap = soft_cap,
    .row_dot = row_dot,
    .gelu_forward = gelu_forward,
    .gelu_backward = gelu_backward,
    .gelu_erf_forward = gelu_erf_forward,
    .gelu_erf_backward = gelu_erf_backward,
    .swiglu_forward = swiglu_forward,
    .swiglu_backward = swiglu_backward,
    .geglu_forward = geglu_forward,
    .geglu_backward = geglu_backward,
    .rotary = rotary,
    .attention_softmax = attention_softmax,
    .attention_probabilities = attention_probabilities,
    .attention_backward = attention_backward,
    .cross_entropy = cross_entropy,
    .log_moments = log_moments,
    .divergence = divergence,
    .argmax = argmax,
    .sum_of_squares = sum_of_squares,
    .adamw = adamw,
    .gemm_rows = MR,
    .gemm_columns = NR,
    .gemm_pack_left = gemm_pack_left,
    .gemm_pack_right = gemm_pack_right,
    .gemm_block = gemm_block,
    .thin_columns = thin_columns,
    .thin_rows = thin_rows,
    .spin = spin,
    .spin_operations = MR * NR * 2,
    .from_f16 = from_f16,
    .from_bf16 = from_bf16,
    .to_f16 = to_f16,
    .to_bf16 = to_bf16,
    .round_bf16 = round_bf16,
    .exponential = exponential,
};
