// SPDX-License-Identifier: Apache-2.0

#include "ccuda.h"

// The compiler of Swift knows it in every version of C.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const char device[] = {
#embed "kernels/device.cuh"
    , 0};
static const char common[] = {
#embed "kernels/common.cuh"
    , 0};
static const char norm[] = {
#embed "kernels/norm.cu"
    , 0};
static const char elementwise[] = {
#embed "kernels/elementwise.cu"
    , 0};
static const char rows[] = {
#embed "kernels/rows.cu"
    , 0};
static const char loss[] = {
#embed "kernels/loss.cu"
    , 0};
static const char optimizer[] = {
#embed "kernels/optimizer.cu"
    , 0};
static const char attention[] = {
#embed "kernels/attention.cu"
    , 0};

const char *cc_kernels(size_t part) {
    const char *const parts[] = {device, common, norm, elementwise, rows, loss, optimizer, attention};
    return part < sizeof parts / sizeof *parts ? parts[part] : NULL;
}
