// SPDX-License-Identifier: Apache-2.0
//
// What Sources/CCUDA/kernels/device.cuh defines for a card, for the processor: the kernels' text is compiled behind this.
//
// The threads of a block are fibres that run one after another until each waits, for its block or its warp. Instructions of a
// whole warp are computed from the registers that its lanes bring, by the layouts that the PTX manual gives.

#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define KERNEL(threads) extern "C" void
#define DEVICE static inline
#define __shared__ static
#define __align__(bytes) __attribute__((aligned(bytes)))
#define DYNAMIC_SHARED(name) unsigned char *name = dynamic_shared

typedef unsigned short bf16;
typedef unsigned int word;

struct dimensions {
    unsigned int x, y, z;
};
static dimensions threadIdx, blockIdx, blockDim, gridDim;
static __align__(16) unsigned char dynamic_shared[228 << 10];

/// What a lane brings to an instruction of its warp.
struct lane_values {
    word a[4], b[2];
    const bf16 *row;
    double number;
    int mask;
};

enum fibre_state { READY, AT_BLOCK, AT_WARP, ENDED };

static const int most_threads = 1024, stack_bytes = 128 << 10;

static struct fibre {
    fibre_state state;
    bool began;
    unsigned int turn;
    ucontext_t start;
    jmp_buf place;
    unsigned char *stack;
} fibres[most_threads];
static lane_values brought[2][most_threads];
static jmp_buf scheduler;
static ucontext_t scheduler_start;
static void (*body)(void **);
static void **arguments;

static inline int now() { return (int)threadIdx.x; }

[[noreturn]] static void fail(const char *what) {
    fprintf(stderr, "kernel: %s\n", what);
    abort();
}

/// Lets the others run until all have come here.
static void wait_as(fibre_state state) {
    const int index = now();
    fibres[index].state = state;
    if (!_setjmp(fibres[index].place)) _longjmp(scheduler, 1);
    threadIdx.x = (unsigned int)index;
}

static inline void __syncthreads() { wait_as(AT_BLOCK); }

/// Brings values, waits for the warp, and gives what its first lane brought; the others' follow.
static const lane_values *exchange(const lane_values &own) {
    const unsigned int turn = fibres[now()].turn++ & 1;
    brought[turn][now()] = own;
    wait_as(AT_WARP);
    return brought[turn] + now() / 32 * 32;
}

static void run_fibre() {
    body(arguments);
    fibres[now()].state = ENDED;
    _longjmp(scheduler, 1);
}

/// Runs one block of `count` threads.
static void run_block(int count) {
    for (int i = 0; i < count; i++) {
        fibres[i].state = READY;
        fibres[i].began = false;
        fibres[i].turn = 0;
    }
    for (;;) {
        bool ran = false;
        for (int i = 0; i < count; i++) {
            if (fibres[i].state != READY) continue;
            ran = true;
            threadIdx.x = (unsigned int)i;
            if (_setjmp(scheduler)) continue;
            if (fibres[i].began) _longjmp(fibres[i].place, 1);
            fibres[i].began = true;
            if (!fibres[i].stack) fibres[i].stack = (unsigned char *)malloc(stack_bytes);
            getcontext(&fibres[i].start);
            fibres[i].start.uc_stack.ss_sp = fibres[i].stack;
            fibres[i].start.uc_stack.ss_size = stack_bytes;
            fibres[i].start.uc_link = 0;
            makecontext(&fibres[i].start, run_fibre, 0);
            setcontext(&fibres[i].start);
        }
        if (ran) continue;
        bool ended = true, released = false;
        for (int first = 0; first < count; first += 32) {
            int at_warp = 0, living = 0;
            for (int i = first; i < count && i < first + 32; i++) {
                living += fibres[i].state != ENDED;
                at_warp += fibres[i].state == AT_WARP;
            }
            ended &= living == 0;
            if (at_warp == 0) continue;
            // The instructions take all lanes.
            if (at_warp != 32) fail("a part of a warp is at an instruction of the whole warp");
            for (int i = first; i < first + 32; i++) fibres[i].state = READY;
            released = true;
        }
        if (ended) return;
        if (released) continue;
        for (int i = 0; i < count; i++) {
            if (fibres[i].state == ENDED) fail("a part of a block is at __syncthreads");
            fibres[i].state = READY;
        }
    }
}

extern "C" void run_grid(void (*kernel)(void **), void **values, const unsigned int grid[3], const unsigned int block[3]) {
    if (block[0] > most_threads || block[1] != 1 || block[2] != 1) fail("a block of another form");
    body = kernel;
    arguments = values;
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], 1, 1};
    for (blockIdx.z = 0; blockIdx.z < grid[2]; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < grid[1]; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < grid[0]; blockIdx.x++) {
                // Shared memory holds whatever was there before.
                memset(dynamic_shared, 0xff, sizeof dynamic_shared);
                run_block((int)block[0]);
            }
}

/// Unpacks what a launch points to.
template <int... I> struct places {};
template <int N, int... I> struct places_to : places_to<N - 1, N - 1, I...> {};
template <int... I> struct places_to<0, I...> {
    typedef places<I...> type;
};
template <class... A, int... I> static void call(void (*kernel)(A...), void **values, places<I...>) {
    kernel(*(A *)values[I]...);
}
template <class... A> static void call(void (*kernel)(A...), void **values) {
    call(kernel, values, typename places_to<sizeof...(A)>::type());
}
#define LAUNCHED(name) \
    extern "C" void launched_##name(void **values) { call(name, values); }

template <class T> static T min(T a, T b) { return b < a ? b : a; }

DEVICE float bits_as_float(unsigned int bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline word rounded(float x) {
    word bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

DEVICE word pack(float low, float high) { return rounded(low) | rounded(high) << 16; }
DEVICE float power_of_two(float x) { return exp2f(x); }

static inline double exchanged(double x, int mask) {
    lane_values own = {};
    own.number = x;
    own.mask = mask;
    const lane_values *all = exchange(own), &other = all[now() % 32 ^ mask];
    if (other.mask != mask) fail("the lanes of a warp shuffle differently");
    return other.number;
}
DEVICE float from_lane(float x, int mask) { return (float)exchanged(x, mask); }
DEVICE double from_lane(double x, int mask) { return exchanged(x, mask); }
DEVICE int from_lane(int x, int mask) { return (int)exchanged(x, mask); }

static inline float half_of(word x, int index) { return bits_as_float(index ? x & 0xffff0000u : x << 16); }

static void load_eights(word r[4], const bf16 *row, bool transposed) {
    if ((uintptr_t)row % 16) fail("ldmatrix reads a row that is not aligned");
    if ((unsigned char *)row < dynamic_shared || (unsigned char *)(row + 8) > dynamic_shared + sizeof dynamic_shared)
        fail("ldmatrix reads outside shared memory");
    lane_values own = {};
    own.row = row;
    const lane_values *all = exchange(own);
    const int lane = now() % 32, g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; i++) {
        const bf16 first = transposed ? all[8 * i + 2 * t].row[g] : all[8 * i + g].row[2 * t];
        const bf16 second = transposed ? all[8 * i + 2 * t + 1].row[g] : all[8 * i + g].row[2 * t + 1];
        r[i] = (word)first | (word)second << 16;
    }
    // Nobody may write what others still read.
    exchange(own);
}
DEVICE void load_matrices(word r[4], const bf16 *row) { load_eights(r, row, false); }
DEVICE void load_transposed(word r[4], const bf16 *row) { load_eights(r, row, true); }

DEVICE void multiply_add(float c[4], const word a[4], word b0, word b1) {
    lane_values own = {};
    memcpy(own.a, a, sizeof own.a);
    own.b[0] = b0, own.b[1] = b1;
    const lane_values *all = exchange(own);
    const int lane = now() % 32;
    for (int i = 0; i < 4; i++) {
        const int row = lane / 4, column = lane % 4 * 2 + i % 2;
        for (int k = 0; k < 16; k++) {
            const lane_values &left = all[row * 4 + k % 8 / 2], &right = all[column * 4 + k % 8 / 2];
            c[i] += half_of(left.a[i / 2 + k / 8 * 2], k % 2) * half_of(right.b[k / 8], k % 2);
        }
    }
}
