/* SPDX-License-Identifier: MIT */
/*
 * The fast convolution: fp16 values, fp32 sums, matrix instructions, over tile blobs.
 *
 *     out[row] = act(bias + sum over k of in[neighbour k of row] * weights[k] + residual[row])
 *
 * A convolution's sums run in an order that depends on nothing but its own blobs and weights, and
 * on how many rows there are: equal frames give equal bits. Kernels read the row count on the
 * device. Launches are asynchronous, allocate nothing and may overlap the end of the kernel before
 * them; they work in graphs. Thread-safety: any thread.
 */
#ifndef SPC_CUDA_CONV_H
#define SPC_CUDA_CONV_H

#include "base/act.h"
#include "cuda/blob.h"

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rows of a halo that a blob should hold: for rulebooks that keep their sites, and for others. */
#define SPC_CUDA_HALO_SUBM 512
#define SPC_CUDA_HALO_STRIDED 768

struct spc_cuda_conv_fast {
    const void *in;       /* fp16 [][in_stride]; channels from cin to in_stride are finite */
    const void *weights;  /* device copy of what spc_cuda_conv_pack() wrote */
    const float *bias;    /* [cout] */
    const void *residual; /* fp16 [][cout] or NULL */
    void *out;            /* fp16 [][cout], other memory than `in` and `residual` */
    int32_t cin, cout;
    int32_t in_stride;    /* a multiple of 8 */
    struct spc_cuda_blobs blobs;
    const int32_t *count; /* of output rows; more than `bound` is taken as `bound` */
    int64_t bound;
    enum spc__act act;
    float slope;
    /* The blobs and the count were written before the kernel that runs right before this one:
     * they may be read while that one still runs. */
    bool blobs_settled;
};

enum spc_cuda_conv_way {
    SPC_CUDA_CONV_BEST,  /* what is fastest on the current device, as a rule */
    SPC_CUDA_CONV_MMA,   /* mma.sync: compute capability 8.0 and above */
    SPC_CUDA_CONV_MMA_SHALLOW, /* the same, 64 of 128 input channels at a time */
    SPC_CUDA_CONV_WGMMA, /* wgmma: 9.0; every block has tiles of its own */
    SPC_CUDA_CONV_TEAMS, /* the same with weights that stay: few channels, 3 x 3 x 3 */
    /* From 64 input channels on, where tiles are few: clusters of up to 2 or 4 blocks share one. */
    SPC_CUDA_CONV_WGMMA_2,
    SPC_CUDA_CONV_WGMMA_4,
    SPC_CUDA_CONV_WAYS,  /* how many there are */
};

/* "best", "mma" and so on: the name in a tuning file, never another's. */
const char *spc_cuda_conv_way_name(enum spc_cuda_conv_way way);

/* Whether the fast convolution takes these channels, and blobs of this shape, on the current
 * device. */
bool spc_cuda_conv_fast_supported(int32_t cin, int32_t cout, int32_t in_stride,
                                  const struct spc_cuda_blobs *blobs);

/* Packed weights: bytes of them, and the packing itself (host memory) from float32
 * [groups * run][cin][cout] in the order of kernel offsets. */
size_t spc_cuda_conv_packed_size(int32_t cin, int32_t cout, int32_t groups, int32_t run);
void spc_cuda_conv_pack(const float *weights, int32_t cin, int32_t cout, int32_t groups,
                        int32_t run, uint16_t *packed);

/* cudaErrorNotSupported where the way is not there for this convolution and device; it then
 * launched nothing. All ways read the same packed weights and blobs. */
cudaError_t spc_cuda_conv_fast(const struct spc_cuda_conv_fast *conv, enum spc_cuda_conv_way way,
                               cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
