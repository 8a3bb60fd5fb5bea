// SPDX-License-Identifier: Apache-2.0

static float spin(long rounds) {
    lanes s[MR][NV], total = 0;
    const lanes term = 0.001f;
    UNROLLED for (int i = 0; i < MR; i++)
        UNROLLED for (int v = 0; v < NV; v++) s[i][v] = (float)(i + MR * v);
#pragma clang loop unroll_count(4)
    for (; rounds > 0; rounds--)
        UNROLLED for (int i = 0; i < MR; i++)
            UNROLLED for (int v = 0; v < NV; v++) s[i][v] = MULTIPLY_ADD(0.999f, term, s[i][v]);
    UNROLLED for (int i = 0; i < MR; i++)
        UNROLLED for (int v = 0; v < NV; v++) total += s[i][v];
    return lanes_sum(total);
}
