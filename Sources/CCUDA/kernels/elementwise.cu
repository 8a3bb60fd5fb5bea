// SPDX-License-Identifier: Apache-2.0
//
// Activations, rotations, rounding.

enum { GELU, EXACT_GELU, SWIGLU, GEGLU };

DEVICE float logistic(float x) { return 1.0f / (1.0f + expf(-x)); }

/// gelu in its tanh approximation, and its derivative.
DEVICE float gelu(float x) { return 0.5f * x * (1.0f + tanhf(0.7978845608f * fmaf(0.044715f * x * x, x, x))); }

DEVICE float gelu_slope(float x) {
    const float t = tanhf(0.7978845608f * fmaf(0.044715f * x * x, x, x));
    const float inner = 0.7978845608f * fmaf(0.134145f * x, x, 1.0f);
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * inner;
}

/// x · P(X <= x), X normal, and its derivative.
DEVICE float exact_gelu(float x) { return 0.5f * x * (1.0f + erff(0.7071067812f * x)); }

DEVICE float exact_gelu_slope(float x) {
    return 0.5f * (1.0f + erff(0.7071067812f * x)) + 0.3989422804f * x * expf(-0.5f * x * x);
}

DEVICE float activate(int kind, float x) {
    switch (kind) {
    case EXACT_GELU: return exact_gelu(x);
    case SWIGLU: return x * logistic(x);
    default: return gelu(x);
    }
}

DEVICE float activation_slope(int kind, float x) {
    if (kind == EXACT_GELU) return exact_gelu_slope(x);
    if (kind != SWIGLU) return gelu_slope(x);
    const float s = logistic(x);
    return s * (1.0f + x * (1.0f - s));
}

DEVICE bool is_gated(int kind) { return kind == SWIGLU || kind == GEGLU; }

/// y(N,I) = activation of x(N,I), or of the gates times what stands beside them in x(N,2I). Eight values a
/// thread where the inner size allows it, else one.
KERNEL(THREADS)
activation_forward(bf16 *y, const bf16 *x, int rows, int inner, int kind) {
    const int width = inner % 8 == 0 ? 8 : 1;
    const long long index = ((long long)blockIdx.x * THREADS + threadIdx.x) * width;
    if (index >= (long long)rows * inner) return;
    const long long row = index / inner;
    const int column = (int)(index % inner);
    const bf16 *source = is_gated(kind) ? x + row * 2 * inner + column : x + index;
    if (width == 1) {
        const float value = activate(kind, to_float(source[0]));
        y[index] = to_bf16(is_gated(kind) ? value * to_float(source[inner]) : value);
        return;
    }
    const octet a = *(const octet *)source;
    octet b = a, result;
    if (is_gated(kind)) b = *(const octet *)(source + inner);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float first = activate(kind, low(a.w[i])), second = activate(kind, high(a.w[i]));
        if (is_gated(kind)) first *= low(b.w[i]), second *= high(b.w[i]);
        result.w[i] = pack(first, second);
    }
    *(octet *)(y + index) = result;
}

/// dx = the gradient of that, laid out as x is.
KERNEL(THREADS)
activation_backward(bf16 *dx, const bf16 *dy, const bf16 *x, int rows, int inner, int kind) {
    const int width = inner % 8 == 0 ? 8 : 1;
    const long long index = ((long long)blockIdx.x * THREADS + threadIdx.x) * width;
    if (index >= (long long)rows * inner) return;
    const long long row = index / inner;
    const int column = (int)(index % inner);
    const long long place = is_gated(kind) ? row * 2 * inner + column : index;
    if (width == 1) {
        const float d = to_float(dy[index]), g = to_float(x[place]);
        if (is_gated(kind)) {
            dx[place + inner] = to_bf16(d * activate(kind, g));
            dx[place] = to_bf16(d * to_float(x[place + inner]) * activation_slope(kind, g));
        } else {
            dx[place] = to_bf16(d * activation_slope(kind, g));
        }
        return;
    }
    const octet d = *(const octet *)(dy + index), a = *(const octet *)(x + place);
    octet first, second;
    if (is_gated(kind)) {
        const octet b = *(const octet *)(x + place + inner);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            first.w[i] = pack(low(d.w[i]) * low(b.w[i]) * activation_slope(kind, low(a.w[i])),
                high(d.w[i]) * high(b.w[i]) * activation_slope(kind, high(a.w[i])));
            second.w[i] = pack(low(d.w[i]) * activate(kind, low(a.w[i])), high(d.w[i]) * activate(kind, high(a.w[i])));
        }
        *(octet *)(dx + place + inner) = second;
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++)
            first.w[i] = pack(low(d.w[i]) * activation_slope(kind, low(a.w[i])),
                high(d.w[i]) * activation_slope(kind, high(a.w[i])));
    }
    *(octet *)(dx + place) = first;
}

/// Rotates pairs (j, j + size/2) of the first `size` values of each head, in place, for heads that stand `stride` values
/// apart at the beginning of rows of x(N, ld). Cosines and sines: (positions, size/2). Direction -1 undoes it.
KERNEL(THREADS)
rotary(bf16 *x, int ld, const float *cosines, const float *sines, const int *positions, int rows, int heads, int stride,
    int size, float direction) {
    const int half = size / 2;
    const long long index = (long long)blockIdx.x * THREADS + threadIdx.x;
    if (index >= (long long)rows * heads * half) return;
    const int j = (int)(index % half), head = (int)(index / half % heads);
    const long long row = index / half / heads;
    bf16 *place = x + row * ld + head * stride + j;
    const long long angle = (long long)positions[row] * half + j;
    const float c = cosines[angle], s = direction * sines[angle];
    const float a = to_float(place[0]), b = to_float(place[half]);
    place[0] = to_bf16(a * c - b * s);
    place[half] = to_bf16(b * c + a * s);
}

/// y = x, rounded.
KERNEL(THREADS)
round_values(bf16 *y, const float *x, long long count) {
    for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < count; i += (long long)gridDim.x * THREADS)
        y[i] = to_bf16(x[i]);
}
