// SPDX-License-Identifier: Apache-2.0
//
// Causal attention over packed sequences without a matrix of scores in memory (Dao, arXiv 2307.08691), on tensor cores.
// HEAD_SIZE is set when this is compiled. Blocks of four warps; each warp has 16 of a tile's 64 rows. Scores are kept in
// powers of two: `scale` is the attention's scale times log2(e).
//
// The gradients of keys and values and those of queries come from two kernels that both compute the probabilities again:
// one kernel for all three would have to add to queries atomically, in an order of its own.

#define TILE 64
#define ATTENTION_THREADS 128
/// The head size filled up to what one instruction multiplies.
#define DEPTH ((HEAD_SIZE + 15) / 16 * 16)
/// Values from one row of a tile to the next: eight rows of 16 bytes lie in different banks.
#define PITCH (DEPTH + 8)
#define TILE_VALUES (TILE * PITCH)

/// One tile of one sequence.
struct tile_place {
    /// The sequence's first row, its length, and the tile's first row in it.
    int start, length, first;
};

/// Rows first ..< first + TILE of a head to shared memory, zero beyond the sequence and beyond the head.
DEVICE void load_tile(bf16 *tile, const bf16 *source, int ld, int rows) {
#if HEAD_SIZE % 8 == 0
    for (int i = threadIdx.x; i < TILE * (DEPTH / 8); i += ATTENTION_THREADS) {
        const int row = i / (DEPTH / 8), column = i % (DEPTH / 8) * 8;
        octet values = {{0, 0, 0, 0}};
        if (row < rows && column < HEAD_SIZE) values = *(const octet *)(source + (long long)row * ld + column);
        *(octet *)(tile + row * PITCH + column) = values;
    }
#else
    for (int i = threadIdx.x; i < TILE * DEPTH; i += ATTENTION_THREADS) {
        const int row = i / DEPTH, column = i % DEPTH;
        tile[row * PITCH + column] =
            row < rows && column < HEAD_SIZE ? source[(long long)row * ld + column] : (bf16)0;
    }
#endif
}

/// The left operand of 16 rows and 16 columns of a tile.
DEVICE void left_operand(word a[4], const bf16 *tile, int row, int column) {
    const int lane = threadIdx.x % 32;
    load_matrices(a, tile + (row + lane % 16) * PITCH + column + lane / 16 * 8);
}

/// c(16, 64) = 16 rows of `a` times the transpose of `b`, both (.., DEPTH).
DEVICE void multiply_rows(float c[8][4], const bf16 *a, int row, const bf16 *b) {
    const int lane = threadIdx.x % 32;
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < 4; i++) c[j][i] = 0;
#pragma unroll
    for (int k = 0; k < DEPTH; k += 16) {
        word left[4];
        left_operand(left, a, row, k);
#pragma unroll
        for (int j = 0; j < 8; j += 2) {
            word right[4];
            load_matrices(right, b + (8 * j + lane % 8 + lane / 16 * 8) * PITCH + k + lane / 8 % 2 * 8);
            multiply_add(c[j], left, right[0], right[1]);
            multiply_add(c[j + 1], left, right[2], right[3]);
        }
    }
}

/// sum(16, DEPTH) += p(16, 64) · b(64, DEPTH), with p as multiply_rows leaves it.
DEVICE void multiply_columns(float sum[DEPTH / 8][4], const float p[8][4], const bf16 *b) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < 4; k++) {
        const word left[4] = {pack(p[2 * k][0], p[2 * k][1]), pack(p[2 * k][2], p[2 * k][3]),
            pack(p[2 * k + 1][0], p[2 * k + 1][1]), pack(p[2 * k + 1][2], p[2 * k + 1][3])};
#pragma unroll
        for (int j = 0; j < DEPTH / 8; j += 2) {
            word right[4];
            load_transposed(right, b + (16 * k + lane % 16) * PITCH + 8 * j + lane / 16 * 8);
            multiply_add(sum[j], left, right[0], right[1]);
            multiply_add(sum[j + 1], left, right[2], right[3]);
        }
    }
}

/// Writes 16 rows of DEPTH values, each row times its factor, as far as they are in the sequence and the head.
DEVICE void store_rows(bf16 *target, int ld, const float sum[DEPTH / 8][4], float first, float second, int rows) {
    const int lane = threadIdx.x % 32, row = lane / 4;
    for (int j = 0; j < DEPTH / 8; j++) {
        const int column = 8 * j + lane % 4 * 2;
        for (int half = 0; half < 2; half++) {
            if (row + 8 * half >= rows) continue;
            const float factor = half ? second : first;
            bf16 *place = target + (long long)(row + 8 * half) * ld + column;
#if HEAD_SIZE % 2 == 0
            if (column < HEAD_SIZE) *(word *)place = pack(sum[j][2 * half] * factor, sum[j][2 * half + 1] * factor);
#else
            if (column < HEAD_SIZE) place[0] = to_bf16(sum[j][2 * half] * factor);
            if (column + 1 < HEAD_SIZE) place[1] = to_bf16(sum[j][2 * half + 1] * factor);
#endif
        }
    }
}

/// The largest, or the sum, of the values of the four lanes that share a row.
DEVICE float row_maximum(float x) {
    x = fmaxf(x, from_lane(x, 1));
    return fmaxf(x, from_lane(x, 2));
}

DEVICE float row_sum(float x) {
    x += from_lane(x, 1);
    return x + from_lane(x, 2);
}

/// out(N, heads · D) and log_sums(heads, N), log2 of the sums of powers of two. `group` query heads share a key head.
/// Grid: tiles, heads.
KERNEL(ATTENTION_THREADS)
attention_forward(bf16 *out, float *log_sums, const bf16 *qkv, int ld, const tile_place *tiles, int tokens, int group,
    int key_column, int value_column, float scale) {
    DYNAMIC_SHARED(memory);
    bf16 *queries = (bf16 *)memory, *keys = queries + TILE_VALUES, *values = keys + TILE_VALUES;
    const tile_place place = tiles[blockIdx.x];
    const int head = blockIdx.y, heads = gridDim.y;
    const int warp = threadIdx.x / 32 * 16, lane = threadIdx.x % 32;
    const bf16 *sequence = qkv + (long long)place.start * ld;
    const int shared = head / group * HEAD_SIZE;
    load_tile(queries, sequence + (long long)place.first * ld + head * HEAD_SIZE, ld, place.length - place.first);

    float sum[DEPTH / 8][4], maxima[2] = {-INFINITE, -INFINITE}, sums[2] = {0, 0};
    for (int j = 0; j < DEPTH / 8; j++)
        for (int i = 0; i < 4; i++) sum[j][i] = 0;
    for (int first = 0; first <= place.first; first += TILE) {
        __syncthreads();
        load_tile(keys, sequence + (long long)first * ld + key_column + shared, ld, place.length - first);
        load_tile(values, sequence + (long long)first * ld + value_column + shared, ld, place.length - first);
        __syncthreads();
        float p[8][4];
        multiply_rows(p, queries, warp, keys);
        const bool crosses = first == place.first;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            // Of a tile on the diagonal a row sees the keys up to its own place.
            const int query = warp + lane / 4 + 8 * half;
            float largest = maxima[half];
            for (int j = 0; j < 8; j++)
                for (int i = 0; i < 2; i++) {
                    float score = p[j][2 * half + i] * scale;
                    if (crosses && 8 * j + lane % 4 * 2 + i > query) score = -INFINITE;
                    p[j][2 * half + i] = score;
                    largest = fmaxf(largest, score);
                }
            largest = row_maximum(largest);
            const float factor = power_of_two(maxima[half] - largest);
            maxima[half] = largest;
            float own = 0;
            for (int j = 0; j < 8; j++)
                for (int i = 0; i < 2; i++) {
                    const float probability = power_of_two(p[j][2 * half + i] - largest);
                    p[j][2 * half + i] = probability;
                    own += probability;
                }
            sums[half] = sums[half] * factor + own;
            for (int j = 0; j < DEPTH / 8; j++) sum[j][2 * half] *= factor, sum[j][2 * half + 1] *= factor;
        }
        multiply_columns(sum, p, values);
    }
    for (int half = 0; half < 2; half++) {
        sums[half] = row_sum(sums[half]);
        const int row = place.first + warp + lane / 4 + 8 * half;
        if (lane % 4 == 0 && row < place.length)
            log_sums[(long long)head * tokens + place.start + row] = maxima[half] + log2f(sums[half]);
    }
    const long long row = place.start + place.first + warp;
    store_rows(out + row * heads * HEAD_SIZE + head * HEAD_SIZE, heads * HEAD_SIZE, sum, 1.0f / sums[0], 1.0f / sums[1],
        place.length - place.first - warp);
}

/// deltas(heads, N) = the dot of out and its gradient, head by head; one warp each.
KERNEL(THREADS)
attention_deltas(float *deltas, const bf16 *out, const bf16 *gradient, int tokens, int heads) {
    const long long index = (long long)blockIdx.x * WARPS + threadIdx.x / 32;
    if (index >= (long long)tokens * heads) return;
    const long long token = index / heads, head = index % heads, place = index * HEAD_SIZE;
    float sum = 0;
    for (int i = threadIdx.x % 32; i < HEAD_SIZE; i += 32)
        sum = fmaf(to_float(out[place + i]), to_float(gradient[place + i]), sum);
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) deltas[head * tokens + token] = sum;
}

/// The gradients of queries, in the columns of gradient(N, ld) that queries have in qkv. Grid: tiles, heads.
KERNEL(ATTENTION_THREADS)
attention_backward_queries(bf16 *gradient, const bf16 *qkv, int ld, const bf16 *d_out, const float *log_sums,
    const float *deltas, const tile_place *tiles, int tokens, int group, int key_column, int value_column, float scale,
    float factor) {
    DYNAMIC_SHARED(memory);
    bf16 *queries = (bf16 *)memory, *outputs = queries + TILE_VALUES, *keys = outputs + TILE_VALUES,
         *values = keys + TILE_VALUES;
    const tile_place place = tiles[blockIdx.x];
    const int head = blockIdx.y, heads = gridDim.y;
    const int warp = threadIdx.x / 32 * 16, lane = threadIdx.x % 32;
    const bf16 *sequence = qkv + (long long)place.start * ld;
    const int shared = head / group * HEAD_SIZE, rows = place.length - place.first;
    const long long row = place.start + place.first;
    load_tile(queries, qkv + row * ld + head * HEAD_SIZE, ld, rows);
    load_tile(outputs, d_out + row * heads * HEAD_SIZE + head * HEAD_SIZE, heads * HEAD_SIZE, rows);
    float logs[2], delta[2];
    for (int half = 0; half < 2; half++) {
        const int query = warp + lane / 4 + 8 * half;
        const long long index = (long long)head * tokens + row + query;
        logs[half] = query < rows ? log_sums[index] : INFINITE;
        delta[half] = query < rows ? deltas[index] : 0.0f;
    }
    float sum[DEPTH / 8][4];
    for (int j = 0; j < DEPTH / 8; j++)
        for (int i = 0; i < 4; i++) sum[j][i] = 0;
    for (int first = 0; first <= place.first; first += TILE) {
        __syncthreads();
        load_tile(keys, sequence + (long long)first * ld + key_column + shared, ld, place.length - first);
        load_tile(values, sequence + (long long)first * ld + value_column + shared, ld, place.length - first);
        __syncthreads();
        float p[8][4], d[8][4];
        multiply_rows(p, queries, warp, keys);
        multiply_rows(d, outputs, warp, values);
        const bool crosses = first == place.first;
        for (int j = 0; j < 8; j++)
            for (int i = 0; i < 4; i++) {
                const int half = i / 2, query = warp + lane / 4 + 8 * half;
                const bool sees = !crosses || 8 * j + lane % 4 * 2 + i % 2 <= query;
                const float probability = sees ? power_of_two(p[j][i] * scale - logs[half]) : 0.0f;
                d[j][i] = probability * (d[j][i] - delta[half]) * factor;
            }
        multiply_columns(sum, d, keys);
    }
    store_rows(gradient + (row + warp) * ld + head * HEAD_SIZE, ld, sum, 1, 1, rows - warp);
}

/// The gradients of keys and values, summed over the query heads that share them, in the columns that they have in qkv.
/// Grid: tiles, key heads.
KERNEL(ATTENTION_THREADS)
attention_backward_keys(bf16 *gradient, const bf16 *qkv, int ld, const bf16 *d_out, const float *log_sums,
    const float *deltas, const tile_place *tiles, int tokens, int group, int key_column, int value_column, float scale,
    float factor) {
    DYNAMIC_SHARED(memory);
    bf16 *keys = (bf16 *)memory, *values = keys + TILE_VALUES, *queries = values + TILE_VALUES,
         *outputs = queries + TILE_VALUES;
    float *logs = (float *)(outputs + TILE_VALUES), *delta = logs + TILE;
    const tile_place place = tiles[blockIdx.x];
    const int shared = blockIdx.y * HEAD_SIZE, heads = gridDim.y * group;
    const int warp = threadIdx.x / 32 * 16, lane = threadIdx.x % 32;
    const int rows = place.length - place.first;
    const long long row = place.start + place.first;
    load_tile(keys, qkv + row * ld + key_column + shared, ld, rows);
    load_tile(values, qkv + row * ld + value_column + shared, ld, rows);
    float key_sum[DEPTH / 8][4], value_sum[DEPTH / 8][4];
    for (int j = 0; j < DEPTH / 8; j++)
        for (int i = 0; i < 4; i++) key_sum[j][i] = value_sum[j][i] = 0;
    for (int head = blockIdx.y * group; head < (int)(blockIdx.y + 1) * group; head++)
        for (int first = place.first; first < place.length; first += TILE) {
            const long long query = place.start + first;
            const int left = place.length - first;
            __syncthreads();
            load_tile(queries, qkv + query * ld + head * HEAD_SIZE, ld, left);
            load_tile(outputs, d_out + query * heads * HEAD_SIZE + head * HEAD_SIZE, heads * HEAD_SIZE, left);
            if (threadIdx.x < TILE) {
                const long long index = (long long)head * tokens + query + threadIdx.x;
                const bool is_there = (int)threadIdx.x < left;
                logs[threadIdx.x] = is_there ? log_sums[index] : INFINITE;
                delta[threadIdx.x] = is_there ? deltas[index] : 0.0f;
            }
            __syncthreads();
            // Both are transposed here: 16 keys by 64 queries.
            float p[8][4], d[8][4];
            multiply_rows(p, keys, warp, queries);
            multiply_rows(d, values, warp, outputs);
            const bool crosses = first == place.first;
            for (int j = 0; j < 8; j++)
                for (int i = 0; i < 4; i++) {
                    const int key = warp + lane / 4 + 8 * (i / 2), column = 8 * j + lane % 4 * 2 + i % 2;
                    const bool sees = !crosses || key <= column;
                    p[j][i] = sees ? power_of_two(p[j][i] * scale - logs[column]) : 0.0f;
                    d[j][i] = p[j][i] * (d[j][i] - delta[column]) * factor;
                }
            multiply_columns(value_sum, p, outputs);
            multiply_columns(key_sum, d, queries);
        }
    store_rows(gradient + (row + warp) * ld + key_column + shared, ld, key_sum, 1, 1, rows - warp);
    store_rows(gradient + (row + warp) * ld + value_column + shared, ld, value_sum, 1, 1, rows - warp);
}
