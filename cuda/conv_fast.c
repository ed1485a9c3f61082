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

bool spc_cuda_conv_fast_supported(int32_t cin, int32_t cout, int32_t in_stride,
                                  const struct spc_cuda_blobs *blobs)
{
    struct spc_cuda_conv_fast conv = {.cin = cin, .cout = cout, .blobs = *blobs};
    struct conv_job job = spc_cuda_conv_job(&conv);
    struct device device;

    return cin <= in_stride && in_stride % 8 == 0 && cout % 8 == 0 &&
           blobs->groups * blobs->run <= SPC_CUDA_BLOB_MAX_STEPS && !look(&device) &&
           spc_cuda_mma_fits(&job, spc_cuda_conv_shape(cin, cout), (size_t)device.shared);
}

static cudaError_t launch_mma(struct conv_job *job, struct spc_cuda_conv_shape shape,
                              enum spc_cuda_conv_way way, const struct device *device,
                              cudaStream_t stream)
{
    size_t shared = (size_t)device->shared;
    int32_t depth = spc_cuda_mma_depth(job, shape, shared);

    if (way == SPC_CUDA_CONV_MMA_SHALLOW && shape.depth <= SPC_CUDA_CONV_SLICE)
        return cudaErrorNotSupported;
    if (way == SPC_CUDA_CONV_MMA_SHALLOW)
        depth = SPC_CUDA_CONV_SLICE;
    job->chunks *= shape.depth / depth;
    shape.depth = depth;
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
    struct conv_job job = spc_cuda_conv_job(conv);
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
