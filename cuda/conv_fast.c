/* SPDX-License-Identifier: MIT */
/* The fast convolution's dispatch: which kernel, with what of the device. */
#include "cuda/conv_kernels.h"

const char *spc_cuda_conv_way_name(enum spc_cuda_conv_way way)
{
    switch (way) { /* the compiler says which is missing */
    case SPC_CUDA_CONV_BEST:
        return "best";
    case SPC_CUDA_CONV_MMA:
        return "mma";
    case SPC_CUDA_CONV_MMA_SHALLOW:
        return "mma-shallow";
    case SPC_CUDA_CONV_WGMMA:
        return "wgmma";
    case SPC_CUDA_CONV_TEAMS:
        return "teams";
    case SPC_CUDA_CONV_WGMMA_2:
        return "wgmma-2";
    case SPC_CUDA_CONV_WGMMA_4:
        return "wgmma-4";
    case SPC_CUDA_CONV_WAYS:
        break;
    }
    return "";
}

/* What a launch depends on of the current device. */
struct device {
    int processors, major, minor;
    int shared; /* bytes of shared memory that one block may have */
};

static cudaError_t look(struct device *device)
{
    int current;
    cudaError_t code = cudaGetDevice(&current);

    if (!code)
        code = cudaDeviceGetAttribute(&device->processors, cudaDevAttrMultiProcessorCount, current);
    if (!code)
        code = cudaDeviceGetAttribute(&device->major, cudaDevAttrComputeCapabilityMajor, current);
    if (!code)
        code = cudaDeviceGetAttribute(&device->minor, cudaDevAttrComputeCapabilityMinor, current);
    if (!code)
        code = cudaDeviceGetAttribute(&device->shared, cudaDevAttrMaxSharedMemoryPerBlockOptin,
                                      current);
    return code;
}

static struct conv_job make_job(const struct spc_cuda_conv_fast *conv)
{
    struct spc_cuda_conv_shape shape = spc_cuda_conv_shape(conv->cin, conv->cout);
    struct conv_job job = {.conv = *conv, .blocks = shape.blocks, .chunks = shape.chunks};

    job.step_images = shape.depth / spc_cuda_conv_slice(shape);
    /* Up to a whole batch of the shallowest kernel, four steps. */
    job.table_steps = (conv->blobs.groups * conv->blobs.run + 3) / 4 * 4;
    return job;
}

/* Whether shared memory holds the rows of one batch of steps, each row for itself: what a tile
 * needs whose halo does not fit. Of the two kernels mma.sync's has less memory where it is used. */
static bool fits(const struct conv_job *job, struct spc_cuda_conv_shape shape, size_t shared)
{
    size_t fixed = spc_cuda_mma_fixed(job, shape.width), row = (size_t)shape.depth * 2;
    int32_t steps = SPC_CUDA_CONV_SLICE / spc_cuda_conv_slice(shape);

    return fixed < shared &&
           spc_cuda_halo_capacity(job, shared - fixed, row) >= steps * SPC_CUDA_BLOB_ROWS;
}

bool spc_cuda_conv_fast_supported(int32_t cin, int32_t cout, int32_t in_stride,
                                  const struct spc_cuda_blobs *blobs)
{
    struct spc_cuda_conv_fast conv = {.cin = cin, .cout = cout, .blobs = *blobs};
    struct conv_job job = make_job(&conv);
    struct device device;

    return cin <= in_stride && in_stride % 8 == 0 && cout % 8 == 0 &&
           blobs->groups * blobs->run <= SPC_CUDA_BLOB_MAX_STEPS && !look(&device) &&
           fits(&job, spc_cuda_conv_shape(cin, cout), (size_t)device.shared);
}

/* Shared memory of 99 KB, as sm_86, 89 and 120 give a block, holds 140 halo rows of 128 channels,
 * but most tiles meet 200 to 300: twice as many fit of half the depth. */
static bool better_shallow(const struct conv_job *job, struct spc_cuda_conv_shape shape,
                           size_t shared)
{
    size_t room = shared - spc_cuda_mma_fixed(job, shape.width);

    return shape.depth > SPC_CUDA_CONV_SLICE &&
           spc_cuda_halo_capacity(job, room, (size_t)shape.depth * 2) < 2 * SPC_CUDA_BLOB_ROWS;
}

static cudaError_t launch_mma(struct conv_job *job, struct spc_cuda_conv_shape shape,
                              enum spc_cuda_conv_way way, const struct device *device,
                              cudaStream_t stream)
{
    size_t shared = (size_t)device->shared;

    if (way == SPC_CUDA_CONV_MMA_SHALLOW && shape.depth <= SPC_CUDA_CONV_SLICE)
        return cudaErrorNotSupported;
    if (way == SPC_CUDA_CONV_MMA_SHALLOW || better_shallow(job, shape, shared)) {
        job->chunks *= shape.depth / SPC_CUDA_CONV_SLICE;
        shape.depth = SPC_CUDA_CONV_SLICE;
    }
    return spc_cuda_conv_mma(job, shape, device->processors, shared, stream);
}

/* How many blocks may share a tile. Adding their sums up takes about as long as 6 steps of 64
 * channels; where none is shared, larger clusters start later. */
static int cluster_of(const struct conv_job *job, struct spc_cuda_conv_shape shape,
                      enum spc_cuda_conv_way way)
{
    int steps = job->conv.blobs.groups * job->conv.blobs.run * job->chunks;

    if (way == SPC_CUDA_CONV_BEST)
        return steps < 9 ? 1 : shape.depth < 128 ? 2 : 4;
    return way == SPC_CUDA_CONV_WGMMA_4 ? 4 : way == SPC_CUDA_CONV_WGMMA_2 ? 2 : 1;
}

static cudaError_t launch_wide(struct conv_job *job, struct spc_cuda_conv_shape shape,
                               enum spc_cuda_conv_way way, int processors, cudaStream_t stream)
{
    cudaError_t code =
        spc_cuda_conv_wgmma_wide(job, shape, cluster_of(job, shape, way), processors, stream);

    if (way == SPC_CUDA_CONV_BEST && code == cudaErrorNotSupported)
        code = spc_cuda_conv_wgmma_wide(job, shape, 1, processors, stream);
    return code;
}

/* For BEST the first that is there. */
static cudaError_t launch_wgmma(struct conv_job *job, struct spc_cuda_conv_shape shape,
                                enum spc_cuda_conv_way way, const struct device *device,
                                cudaStream_t stream)
{
    bool clusters = way == SPC_CUDA_CONV_WGMMA_2 || way == SPC_CUDA_CONV_WGMMA_4;
    cudaError_t code = cudaErrorNotSupported;

    if (device->major != 9 || device->minor != 0 || (clusters && shape.depth <= 32))
        return cudaErrorNotSupported;
    if (way == SPC_CUDA_CONV_BEST || way == SPC_CUDA_CONV_TEAMS)
        code = spc_cuda_conv_teams(job, shape, device->processors, stream);
    if (way == SPC_CUDA_CONV_TEAMS || code != cudaErrorNotSupported)
        return code;
    if (shape.depth <= 32)
        return spc_cuda_conv_wgmma_narrow(job, shape, device->processors, stream);
    return launch_wide(job, shape, way, device->processors, stream);
}

cudaError_t spc_cuda_conv_fast(const struct spc_cuda_conv_fast *conv, enum spc_cuda_conv_way way,
                               cudaStream_t stream)
{
    struct spc_cuda_conv_shape shape = spc_cuda_conv_shape(conv->cin, conv->cout);
    struct conv_job job = make_job(conv);
    struct device device;
    cudaError_t code = look(&device);

    if (code)
        return code;
    if (way != SPC_CUDA_CONV_MMA && way != SPC_CUDA_CONV_MMA_SHALLOW) {
        code = launch_wgmma(&job, shape, way, &device, stream);
        if (way != SPC_CUDA_CONV_BEST || code != cudaErrorNotSupported)
            return code;
    }
    return launch_mma(&job, shape, way, &device, stream);
}
