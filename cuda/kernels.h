/* SPDX-License-Identifier: MIT */
/*
 * Launchers of the general kernels: whole rows, dense tensors, and the convolution of any shape.
 *
 * All pointers are device pointers, all launches are asynchronous on `stream`, none synchronizes,
 * allocates or reads a count on the host. Row counts live on the device: `count` points to the
 * number of rows of this frame, `bound` is the most it can be; where `count` is NULL there are
 * `bound` rows. A count above the bound, which an index that overflowed leaves behind, is taken as
 * the bound. Types are SPC_DTYPE_F32 or SPC_DTYPE_F16. Thread-safety: any thread.
 */
#ifndef SPC_CUDA_KERNELS_H
#define SPC_CUDA_KERNELS_H

#include "base/act.h"
#include "cuda/index.h"

#include <cuda_runtime_api.h>
#include <spc/spc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rows from one place, type and order to another: out[out_row[i]][c] = in[in_row[i]][c]. */
struct spc_cuda_move {
    const void *in;                  /* [][channels] */
    void *out;                       /* the same */
    enum spc_dtype in_type, out_type;
    int32_t channels;
    const int32_t *in_row, *out_row; /* NULL: row i itself; a negative row is left out */
    const int32_t *count;
    int64_t bound;
};

cudaError_t spc_cuda_move(const struct spc_cuda_move *move, cudaStream_t stream);

/* out = act(a + b), element by element; b may be NULL. */
struct spc_cuda_add {
    const void *a, *b;
    void *out;
    enum spc_dtype type;
    int32_t channels;
    const int32_t *count;
    int64_t bound;
    enum spc__act act;
    float slope;
};

cudaError_t spc_cuda_add(const struct spc_cuda_add *add, cudaStream_t stream);

/* out[row] = act(bias + sum over k of in[nbr[k][row]] * weights[k] + residual[row]), summed in
 * float32 by ascending k and input channel. */
struct spc_cuda_conv {
    const void *in;          /* [][cin] */
    const void *weights;     /* [offsets][cin][cout] of `type` */
    const float *bias;       /* [cout] */
    const void *residual;    /* [][cout] or NULL */
    void *out;               /* [][cout] */
    enum spc_dtype type;
    int32_t offsets, cin, cout;
    const int32_t *nbr;      /* [offsets][nbr_stride]: input row, -1 for none */
    int64_t nbr_stride;
    const int32_t *count;    /* of output rows */
    int64_t bound;
    enum spc__act act;
    float slope;
};

cudaError_t spc_cuda_conv_general(const struct spc_cuda_conv *conv, cudaStream_t stream);

/* A dense tensor from sparse rows: every element is written once, zeros where there is no site. */
struct spc_cuda_scatter {
    const void *in; /* [][channels] */
    void *out;
    int32_t element; /* bytes of one: 1, 2 or 4 */
    int32_t channels;
    struct spc_cuda_sites sites;
    int64_t stride[4]; /* elements, of c, z, y, x; see graph/graph.h */
    bool nchw32;       /* that layout instead of strides */
    /* No kernel in front of this one in the frame touches `out`, and the sites were there before
     * the kernel right in front began: zeros may be written while that one still runs. */
    bool early;
};

cudaError_t spc_cuda_scatter(const struct spc_cuda_scatter *scatter, cudaStream_t stream);

/* Copies `words` words, for example to host memory that the device can write: no copy command
 * between kernels, which would cost more than the copy. */
cudaError_t spc_cuda_copy_words(const void *from, void *to, int words, cudaStream_t stream);

/* A dense tensor with its dims in another order; plain copy with rank 1. */
struct spc_cuda_transpose {
    const void *in;
    void *out;
    int32_t element; /* bytes of one: 1, 2 or 4 */
    int32_t rank;
    int64_t dims[SPC_MAX_RANK];   /* of the output */
    int64_t stride[SPC_MAX_RANK]; /* elements of the input for one step in each output dim */
};

cudaError_t spc_cuda_transpose(const struct spc_cuda_transpose *transpose, cudaStream_t stream);

/* The number of pairs of a rulebook, to `pairs` in device memory. */
cudaError_t spc_cuda_count_pairs(const struct spc_cuda_sites *out, const struct spc_cuda_sites *in,
                                 const struct spc_cuda_geometry *geometry, uint64_t *pairs,
                                 cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
