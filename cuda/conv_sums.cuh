/* SPDX-License-Identifier: MIT */
/* What all fast convolution kernels share: how sums begin, with bias and residual, and what happens
 * to finished ones. A thread's sums are those of mma.sync and wgmma: two rows, 8 apart. */
#ifndef SPC_CUDA_CONV_SUMS_CUH
#define SPC_CUDA_CONV_SUMS_CUH

#include "cuda/common.cuh"
#include "cuda/conv.h"

#include <cuda_fp16.h>

template <int COUNT> struct halves; /* COUNT of them, loaded and stored at once */
template <> struct halves<4> {
    uint2 bits;
};
template <> struct halves<8> {
    uint4 bits;
};

/* Channel of the first of the sums that a thread has of GROUP n8 tiles; the others follow it. */
template <int GROUP> static __device__ __forceinline__ int channel_of(int first, int g, int lane)
{
    return first + g * GROUP * 8 + lane % 4 * 2 * GROUP;
}

/* In a multiplication of 32 bits by 32. */
static __device__ __forceinline__ uint64_t element_of(const struct spc_cuda_conv_fast &conv,
                                                      int row, int channel)
{
    return (uint64_t)(uint32_t)row * (uint32_t)conv.cout + (uint32_t)channel;
}

/* Sums begin with the bias. */
template <int TILES, int GROUP>
static __device__ __forceinline__ void begin_bias(const struct spc_cuda_conv_fast &conv,
                                                  float (&acc)[TILES][4], int first_channel,
                                                  int lane)
{
#pragma unroll
    for (int g = 0; g < TILES / GROUP; g++) {
        int channel = channel_of<GROUP>(first_channel, g, lane);

#pragma unroll
        for (int j = 0; j < GROUP; j++) {
            float2 bias = make_float2(0.0f, 0.0f);
            float *sum = acc[g * GROUP + j];

            if (channel < conv.cout)
                bias = *(const float2 *)(conv.bias + channel + 2 * j);
            sum[0] = sum[2] = bias.x;
            sum[1] = sum[3] = bias.y;
        }
    }
}

/* Adds the residual of one row: to the sums of rows 8 * LOWER + lane / 4 of TILES n8 tiles. */
template <int TILES, int GROUP, int LOWER>
static __device__ __forceinline__ void add_row(const struct spc_cuda_conv_fast &conv,
                                               float (&acc)[TILES][4], int row, int rows,
                                               int first_channel, int lane)
{
    using chunk = halves<2 * GROUP>;

#pragma unroll
    for (int g = 0; g < TILES / GROUP; g++) {
        int channel = channel_of<GROUP>(first_channel, g, lane);
        chunk values = {};
        const __half2 *pairs = (const __half2 *)&values;

        if (conv.residual && row < rows && channel < conv.cout)
            values =
                *(const chunk *)((const __half *)conv.residual + element_of(conv, row, channel));
#pragma unroll
        for (int j = 0; j < GROUP; j++) {
            float2 add = __half22float2(pairs[j]);

            acc[g * GROUP + j][2 * LOWER] += add.x;
            acc[g * GROUP + j][2 * LOWER + 1] += add.y;
        }
    }
}

/* Both rows of one product's sums: rows `row` and row + 8. */
template <int TILES, int GROUP>
static __device__ __forceinline__ void add_residual(const struct spc_cuda_conv_fast &conv,
                                                    float (&acc)[TILES][4], int row, int rows,
                                                    int first_channel, int lane)
{
    add_row<TILES, GROUP, 0>(conv, acc, row, rows, first_channel, lane);
    add_row<TILES, GROUP, 1>(conv, acc, row + 8, rows, first_channel, lane);
}

/* Bias and residual. Loaded here, the residual comes while the halo does. */
template <int TILES, int GROUP>
static __device__ __forceinline__ void begin_sums(const struct spc_cuda_conv_fast &conv,
                                                  float (&acc)[TILES][4], int row, int rows,
                                                  int first_channel, int lane)
{
    begin_bias<TILES, GROUP>(conv, acc, first_channel, lane);
    add_residual<TILES, GROUP>(conv, acc, row, rows, first_channel, lane);
}

/* Activation and store of one row's sums. */
template <enum spc__act ACT, int TILES, int GROUP, int LOWER>
static __device__ __forceinline__ void finish_row(const struct spc_cuda_conv_fast &conv,
                                                  const float (&acc)[TILES][4], int row,
                                                  int first_channel, int lane)
{
    using chunk = halves<2 * GROUP>;

#pragma unroll
    for (int g = 0; g < TILES / GROUP; g++) {
        int channel = channel_of<GROUP>(first_channel, g, lane);
        chunk values;
        __half2 *pairs = (__half2 *)&values;

        if (channel >= conv.cout)
            continue;
#pragma unroll
        for (int j = 0; j < GROUP; j++) {
            const float *sum = &acc[g * GROUP + j][2 * LOWER];

            pairs[j] = __floats2half2_rn(activate(sum[0], ACT, conv.slope),
                                         activate(sum[1], ACT, conv.slope));
        }
        *(chunk *)((__half *)conv.out + element_of(conv, row, channel)) = values;
    }
}

/* Both rows of one product's sums: rows `row` and row + 8, as far as there are rows. */
template <enum spc__act ACT, int TILES, int GROUP>
static __device__ __forceinline__ void finish_rows(const struct spc_cuda_conv_fast &conv,
                                                   const float (&acc)[TILES][4], int row, int rows,
                                                   int first_channel, int lane)
{
    if (row < rows)
        finish_row<ACT, TILES, GROUP, 0>(conv, acc, row, first_channel, lane);
    if (row + 8 < rows)
        finish_row<ACT, TILES, GROUP, 1>(conv, acc, row + 8, first_channel, lane);
}

/* The same with the convolution's activation. Each has code of its own: what is not used is not
 * even fetched. */
template <int TILES, int GROUP>
static __device__ __forceinline__ void finish_sums(const struct spc_cuda_conv_fast &conv,
                                                   const float (&acc)[TILES][4], int row, int rows,
                                                   int first_channel, int lane)
{
    switch (conv.act) {
    case SPC__ACT_NONE:
        finish_rows<SPC__ACT_NONE, TILES, GROUP>(conv, acc, row, rows, first_channel, lane);
        break;
    case SPC__ACT_RELU:
        finish_rows<SPC__ACT_RELU, TILES, GROUP>(conv, acc, row, rows, first_channel, lane);
        break;
    case SPC__ACT_LEAKY_RELU:
        finish_rows<SPC__ACT_LEAKY_RELU, TILES, GROUP>(conv, acc, row, rows, first_channel, lane);
        break;
    case SPC__ACT_SIGMOID:
        finish_rows<SPC__ACT_SIGMOID, TILES, GROUP>(conv, acc, row, rows, first_channel, lane);
        break;
    }
}

#endif
