/* SPDX-License-Identifier: MIT */
/*
 * The CPU kernels: what each must do, and the table through which they are called.
 *
 * Every kernel has a plain C reference (suffix _c, kept for ever) and may have a faster version
 * for an instruction set. All versions of a kernel give the same bits: sums have one order, every
 * multiply-add is fused, nothing is reassociated.
 *
 * Kernels take raw pointers and sizes. They never allocate, log or know the graph; pointers need
 * the alignment of their element only, sizes may be 0. Thread-safety: any thread, on distinct
 * output.
 */
#ifndef SPC_CPU_KERNELS_H
#define SPC_CPU_KERNELS_H

#include "base/act.h"

#include <spc/spc.h>

/* Output channels come in panels of this many; the last one is filled up with zeros. */
#define SPC__PANEL 16

/* out = act(value + residual), for `rows` rows of `channels` values. */
struct spc__finish {
    int64_t rows, channels;
    int64_t stride;       /* floats from one row of acc to the next */
    const void *residual; /* [rows][channels] in the type of out, or NULL */
    enum spc__act act;
    float slope;
};

/* Cells of a dense tensor that belong to sparse rows; strides in elements. */
struct spc__scatter {
    int64_t rows, channels;
    int64_t channel_stride;
    const int64_t *cells; /* [rows] first element of each row's cell */
    int size;             /* bytes of an element: 1, 2 or 4 */
};

struct spc__kernels {
    const char *isa;

    /* One kernel offset of a convolution, for `pairs` pairs of rows:
     *
     *     acc[out_rows[p]][o] = fma(in[in_rows[p]][c], w[c][o], acc[out_rows[p]][o])
     *
     * for c ascending, o in 0 .. 16 * panels - 1. `in` is [..][cin], `acc` [..][16 * panels],
     * aligned to 64 bytes, and `weights` [panels][cin][16], aligned to 64 bytes, holds w. Rows in
     * `out_rows` ascend and are distinct. */
    void (*conv)(const float *in, const int32_t *in_rows, const uint16_t *out_rows, int64_t pairs,
                 const float *weights, int cin, int panels, float *acc);

    /* Accumulators to rows [rows][channels]: see struct spc__finish; then, for f16, rounded. */
    void (*finish_f32)(const struct spc__finish *finish, const float *acc, float *out);
    void (*finish_f16)(const struct spc__finish *finish, const float *acc, uint16_t *out);

    /* out = act(x + residual) for rows in storage; finish->stride is not used. */
    void (*add_f32)(const struct spc__finish *finish, const float *x, float *out);
    void (*add_f16)(const struct spc__finish *finish, const uint16_t *x, uint16_t *out);

    void (*widen)(const uint16_t *in, float *out, int64_t count);
    void (*narrow)(const float *in, uint16_t *out, int64_t count);

    /* out[cells[r] + c * channel_stride] = in[r * in_stride + c] for every row r and channel c;
     * in_stride in elements. Touches nothing else. */
    void (*scatter)(const struct spc__scatter *scatter, const void *in, int64_t in_stride,
                    void *out);
};

/* The table for an instruction set: "c", "avx2", "avx512" or "neon"; NULL or "auto" takes the
 * environment's SPC_CPU_ISA, else the best that this machine has. SPC_ERR_ARGUMENT for an unknown
 * name, SPC_ERR_BACKEND for one that the machine or the build lacks. */
enum spc_status spc__kernels_select(const char *isa, const struct spc__kernels **kernels,
                                    struct spc_error *err);

/* Tables that work on this machine, by number, the reference first; NULL past the last. */
const struct spc__kernels *spc__kernels_at(int i);

#endif
