/* SPDX-License-Identifier: MIT */
/* What the fast convolution takes of shared memory on GPUs of every size, without one. */
#include "cuda/conv_kernels.h"
#include "test.h"

#define ZERO_ROWS 8 /* beside the halo, see conv_tile.cuh */

/* Shared memory that a block may have: sm_86, 89 and 120; 80 and 87; 90, 100 and 103. */
static const size_t sizes[] = {99 << 10, 163 << 10, 227 << 10};

static const struct {
    int32_t kernel[3], dilation[3];
    bool inverse;
} kernels[] = {
    {{3, 3, 3}, {1, 1, 1}, false}, {{3, 3, 3}, {1, 1, 1}, true},  {{3, 3, 3}, {2, 2, 2}, false},
    {{1, 1, 1}, {1, 1, 1}, false}, {{3, 1, 1}, {1, 1, 1}, false}, {{2, 2, 2}, {1, 1, 1}, false},
    {{1, 5, 5}, {1, 1, 1}, false}, {{2, 4, 4}, {1, 1, 1}, true},  {{4, 8, 1}, {1, 1, 1}, false},
};

static void check_layer(const struct spc_cuda_conv_fast *conv, size_t shared)
{
    struct spc_cuda_conv_shape shape = spc_cuda_conv_shape(conv->cin, conv->cout);
    struct conv_job job = spc_cuda_conv_job(conv);
    int32_t depth = spc_cuda_mma_depth(&job, shape, shared);
    size_t fixed = spc_cuda_mma_fixed(&job, shape.width), row = (size_t)depth * 2;
    int32_t rows, batch = SPC_CUDA_CONV_SLICE / depth;

    REQUIRE(spc_cuda_mma_fits(&job, shape, shared) && fixed < shared);
    rows = spc_cuda_halo_capacity(&job, shared - fixed, row);
    CHECK(rows >= (batch ? batch : 1) * SPC_CUDA_BLOB_ROWS);
    CHECK(fixed + (size_t)(rows + ZERO_ROWS) * row <= shared);
    CHECK(shape.depth * shape.chunks >= conv->cin && shape.width * shape.blocks >= conv->cout);
    /* Whole depth where that holds most tiles' halos, else half of 128. */
    CHECK(depth == shape.depth || (shape.depth == 128 && depth == 64 && shared == sizes[0]));
}

TEST(every_layer_fits)
{
    for (size_t k = 0; k < sizeof(kernels) / sizeof(*kernels); k++)
        for (int32_t cin = 8; cin <= 264; cin += 8)
            for (int32_t cout = 8; cout <= 264; cout += 8)
                for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
                    struct spc_cuda_conv_fast conv = {.cin = cin, .cout = cout};

                    CHECK(spc_cuda_blobs_shape(&conv.blobs, kernels[k].kernel,
                                               kernels[k].dilation, kernels[k].inverse,
                                               k % 2 ? SPC_CUDA_HALO_SUBM : SPC_CUDA_HALO_STRIDED));
                    check_layer(&conv, sizes[s]);
                }
}

static int32_t depth_of(int32_t channels, size_t shared)
{
    static const int32_t three[3] = {3, 3, 3}, one[3] = {1, 1, 1};
    struct spc_cuda_conv_fast conv = {.cin = channels, .cout = channels};
    struct conv_job job;

    spc_cuda_blobs_shape(&conv.blobs, three, one, false, SPC_CUDA_HALO_SUBM);
    job = spc_cuda_conv_job(&conv);
    return spc_cuda_mma_depth(&job, spc_cuda_conv_shape(channels, channels), shared);
}

TEST(half_the_depth)
{
    CHECK_INT(depth_of(128, sizes[0]), 64);
    CHECK_INT(depth_of(128, sizes[1]), 128);
    CHECK_INT(depth_of(128, sizes[2]), 128);
    CHECK_INT(depth_of(64, sizes[0]), 64);
    CHECK_INT(depth_of(16, sizes[0]), 16);
}

/* Where a device has too little, the answer is no. */
TEST(too_little)
{
    static const int32_t three[3] = {3, 3, 3}, one[3] = {1, 1, 1};
    struct spc_cuda_conv_fast conv = {.cin = 128, .cout = 128};
    struct conv_job job;

    spc_cuda_blobs_shape(&conv.blobs, three, one, true, SPC_CUDA_HALO_SUBM);
    job = spc_cuda_conv_job(&conv);
    CHECK(!spc_cuda_mma_fits(&job, spc_cuda_conv_shape(128, 128), 64 << 10));
    CHECK(!spc_cuda_mma_fits(&job, spc_cuda_conv_shape(128, 128), 80 << 10));
    CHECK(spc_cuda_mma_fits(&job, spc_cuda_conv_shape(128, 128), 99 << 10));
}

int main(void)
{
    RUN(every_layer_fits);
    RUN(half_the_depth);
    RUN(too_little);
    return test_result();
}
