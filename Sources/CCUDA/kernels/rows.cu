// SPDX-License-Identifier: Apache-2.0
//
// Rows by their numbers: embeddings and scored places.

/// y(N,C) = (table[ids] + positions' rows) * scale; no `place_table`: nothing is added.
KERNEL(THREADS)
embed(float *y, const float *table, const int *ids, const float *place_table, const int *positions, int rows, int cols,
    float scale) {
    const int row = blockIdx.x;
    const float *token = table + (long long)ids[row] * cols;
    const float *place = place_table ? place_table + (long long)positions[row] * cols : 0;
    for (int i = threadIdx.x; i < cols; i += THREADS)
        y[(long long)row * cols + i] = (place ? token[i] + place[i] : token[i]) * scale;
}

/// table[id] += the sum of the rows of x that have this id, in order, times `scale`. The rows of ids[k] are
/// order[starts[k] ..< starts[k + 1]]. One block for each id that occurs.
KERNEL(THREADS)
embed_backward(float *table, const float *x, const int *ids, const int *order, const int *starts, int cols, float scale) {
    const int first = starts[blockIdx.x], last = starts[blockIdx.x + 1];
    float *target = table + (long long)ids[blockIdx.x] * cols;
    for (int i = threadIdx.x; i < cols; i += THREADS) {
        float sum = 0;
        for (int k = first; k < last; k++) sum += x[(long long)order[k] * cols + i];
        target[i] += sum * scale;
    }
}

/// y(P,C) = the rows `places` of x.
KERNEL(THREADS)
gather_rows(float *y, const float *x, const int *places, int cols) {
    const float *source = x + (long long)places[blockIdx.x] * cols;
    for (int i = threadIdx.x; i < cols; i += THREADS) y[(long long)blockIdx.x * cols + i] = source[i];
}

/// y(N,C) = the rows `sources` of x, zero for a negative number; also rounded to `copy`.
KERNEL(THREADS)
spread_rows(float *y, bf16 *copy, const float *x, const int *sources, int cols) {
    const int source = sources[blockIdx.x];
    for (int i = threadIdx.x; i < cols; i += THREADS) {
        const float value = source < 0 ? 0.0f : x[(long long)source * cols + i];
        y[(long long)blockIdx.x * cols + i] = value;
        copy[(long long)blockIdx.x * cols + i] = to_bf16(value);
    }
}
