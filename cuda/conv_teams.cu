/* SPDX-License-Identifier: MIT */
/*
 * The fast convolution of up to 32 input and 32 output channels on Hopper, for kernels of
 * 3 x 3 x 3: blocks of TEAMS teams, each of them a warpgroup, BLOCKS of them on a multiprocessor;
 * see conv_team.cuh.
 */
#include "cuda/conv_kernels.h"

#ifdef SPC_CUDA_SM90A

#include "cuda/conv_team_tiles.cuh"

#define ALIGNMENT 1024 /* of swizzled images */

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/* Orders the weights of all steps; by one thread. */
static __device__ __forceinline__ void order_weights(const struct conv_job &job, uint32_t to,
                                                     uint32_t barriers, int image)
{
    int chunk = CHUNK_STEPS * image;
    const uint8_t *from = (const uint8_t *)job.conv.weights + (STEPS + 1) * image;

    for (int i = 0; i < CHUNKS; i++) {
        barrier_expect(barriers + i * 8, chunk);
        bulk_copy(to + i * chunk, from + i * chunk, chunk, barriers + i * 8);
    }
}

/* Until they are there: also where no tile needed them, a copy must not outlive its block. */
static __device__ __forceinline__ void wait_for_weights(uint32_t barriers)
{
    for (int i = 0; i < CHUNKS; i++)
        barrier_wait(barriers + i * 8, 0);
}

template <int DEPTH, int WIDTH, int TEAMS>
static __device__ __forceinline__ struct self make_self(const struct conv_job &job,
                                                        uint8_t *memory, uint32_t barriers)
{
    struct team_memory bytes = team_memory<DEPTH, WIDTH>(job);
    int team = __shfl_sync(~0u, threadIdx.x / TEAM, 0), thread = threadIdx.x % TEAM;
    uint8_t *own = memory + bytes.weights + team * bytes.team;
    uint32_t blob_there = barriers + (CHUNKS + team) * 8;

    return {team,
            thread,
            (int)threadIdx.x % 32,
            shared_address(own),
            own + bytes.halo,
            blob_there,
            (uint32_t)bytes.team,
            thread / 32 * 32 + thread % 32 / 4};
}

#endif

template <int DEPTH, int WIDTH, int TEAMS, int BLOCKS>
static __global__ void __launch_bounds__(TEAMS *TEAM, BLOCKS)
    conv_teams(const __grid_constant__ struct conv_job job)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(ALIGNMENT) uint8_t memory[];
    constexpr int num_barriers = CHUNKS + TEAMS; /* of chunks of weights, of the teams' blobs */
    __shared__ uint64_t barriers[num_barriers];
    uint32_t at = shared_address(barriers), images = shared_address(memory);
    struct self self = make_self<DEPTH, WIDTH, TEAMS>(job, memory, at);

    if (threadIdx.x == 0) {
        for (int i = 0; i < num_barriers; i++)
            barrier_init(at + i * 8, 1);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    if (threadIdx.x == TEAMS * TEAM - 32)
        order_weights(job, images, at, shape<DEPTH, WIDTH>::image);
    if (!job.conv.blobs_settled)
        settle();
    team_tiles<DEPTH, WIDTH, TEAMS>(job, self, {wgmma_columns<DEPTH>(images), at});
    if (threadIdx.x == TEAMS * TEAM - 32)
        wait_for_weights(at);
#endif
}

/* Halo rows of a team, where a block has `room` bytes; a multiple of 8, so that blobs are aligned
 * as bulk copies want it. */
template <int DEPTH, int WIDTH, int TEAMS>
static int32_t capacity_of(const struct conv_job *job, int32_t room)
{
    struct conv_job none = *job;
    struct team_memory bytes;
    int32_t rows, most = (job->conv.blobs.max_halo + 7) / 8 * 8;

    none.capacity = 0;
    bytes = team_memory<DEPTH, WIDTH>(none);
    rows = ((room - bytes.weights) / TEAMS - bytes.team) / (DEPTH * 2) / 8 * 8;
    if (most < TILE_ROWS) /* or a pass would have no step, and exchange() no room */
        most = TILE_ROWS;
    return rows < most ? rows : most;
}

template <int DEPTH, int WIDTH, int TEAMS, int BLOCKS>
static cudaError_t launch(struct conv_job *job, int processors, cudaStream_t stream)
{
    struct team_memory bytes;
    cudaError_t code;

    job->capacity = capacity_of<DEPTH, WIDTH, TEAMS>(
        job, SPC_CUDA_SHARED_SM90 / BLOCKS - SPC_CUDA_SHARED_BLOCK);
    if (job->capacity < TILE_ROWS)
        return cudaErrorNotSupported;
    bytes = team_memory<DEPTH, WIDTH>(*job);
    code = spc_cuda_allow_shared((const void *)conv_teams<DEPTH, WIDTH, TEAMS, BLOCKS>);
    return code ? code
                : spc_cuda_launch(conv_teams<DEPTH, WIDTH, TEAMS, BLOCKS>,
                                  spc_cuda_conv_grid(job, processors * BLOCKS), TEAMS * TEAM,
                                  bytes.weights + TEAMS * bytes.team, stream, *job);
}

extern "C" cudaError_t spc_cuda_conv_teams(struct conv_job *job, struct spc_cuda_conv_shape shape,
                                           int processors, cudaStream_t stream)
{
    if (job->conv.blobs.run != RUN || job->conv.blobs.groups != GROUPS)
        return cudaErrorNotSupported;
    switch (shape.depth * 1000 + shape.width) {
    case 16016:
        return launch<16, 16, 3, 2>(job, processors, stream);
    case 16032:
        return launch<16, 32, 3, 2>(job, processors, stream);
    case 32032:
        return launch<32, 32, 5, 1>(job, processors, stream);
    }
    return cudaErrorNotSupported;
}

#else

extern "C" cudaError_t spc_cuda_conv_teams(struct conv_job *job, struct spc_cuda_conv_shape shape,
                                           int processors, cudaStream_t stream)
{
    (void)job, (void)shape, (void)processors, (void)stream;
    return cudaErrorNotSupported;
}

#endif
