/* SPDX-License-Identifier: MIT */
/*
 * The fast convolution of up to 32 input and 32 output channels on Hopper, for kernels of
 * 3 x 3 x 3: teams, each of them a warpgroup; see conv_team.cuh.
 *
 * A warp's matrices are rows 0 to 15 and 16 to 31 of its 32. The first belongs to one product of
 * the warpgroup, the second to another, so that each lane finds one row: two would cost more than
 * the moves of registers that this takes.
 */
#include "cuda/conv_kernels.h"

#ifdef SPC_CUDA_SM90A

#include "cuda/conv_team.cuh"

#define TEAMS 5       /* of a block, which has a multiprocessor for itself */
#define ALIGNMENT 1024 /* of swizzled images */

/* Barriers of a block: of chunks of weights, of the teams' blobs, of their first halos. */
#define BARRIERS (CHUNKS + 2 * TEAMS)

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/* Orders the weights of all steps; by one thread. */
static __device__ __forceinline__ void order_weights(const struct conv_job &job, uint32_t to,
                                                     uint32_t barriers, int image)
{
    int chunk = CHUNK_STEPS * image;

    for (int i = 0; i < CHUNKS; i++) {
        barrier_expect(barriers + i * 8, chunk);
        bulk_copy(to + i * chunk, (const uint8_t *)job.conv.weights + i * chunk, chunk,
                  barriers + i * 8);
    }
}

/* Until they are there: also where no tile needed them, a copy must not outlive its block. */
static __device__ __forceinline__ void wait_for_weights(uint32_t barriers)
{
    for (int i = 0; i < CHUNKS; i++)
        barrier_wait(barriers + i * 8, 0);
}

/* Products of a tile's rows with the weights, added to its sums. */
template <int DEPTH, int WIDTH> struct multiply {
    uint64_t first;    /* describes the columns of step 0 */
    uint32_t barriers; /* of chunks of weights */

    /* Rows of one step, by units of 8 channels: those of two matrices. */
    using rows = uint32_t[DEPTH / 8][4];
    static constexpr int image = shape<DEPTH, WIDTH>::image / 16; /* as columns are described */
    static constexpr int batch = DEPTH == 16 ? RUN : 1;           /* steps that start together */

    __device__ __forceinline__ void load(rows &to, const struct self &self, uint32_t address) const
    {
#pragma unroll
        for (int u = 0; u < DEPTH / 8; u++)
            load_matrices(to[u], address + u * self.plane);
    }

    __device__ __forceinline__ void start(sums<WIDTH> &acc, const rows &from,
                                          uint64_t columns) const
    {
#pragma unroll
        for (int m = 0; m < 2; m++)
#pragma unroll
            for (int k = 0; k < DEPTH / 16; k++) {
                const uint32_t matrix[4] = {from[2 * k][2 * m], from[2 * k][2 * m + 1],
                                            from[2 * k + 1][2 * m], from[2 * k + 1][2 * m + 1]};

                wgmma(acc[m], matrix, columns + 2 * k);
            }
    }

    /* All steps of a tile whose halo is there as a whole. While a batch's products are under way,
     * the rows of the batch behind it are found. */
    __device__ __forceinline__ void columns(sums<WIDTH> &acc, const struct self &self,
                                            const struct tile &tile) const
    {
        const uint16_t *entries = narrow_entries(tile, self.thread);
        const uint16_t *leaders = narrow_entries(tile, self.thread & ~7);
        struct finder finder(self, entries[0], leaders[0]);
        uint32_t found[RUN];
        uint64_t at = first;

#pragma unroll
        for (int m = 0; m < RUN; m++)
            found[m] = finder.find(m);
#pragma unroll 1
        for (int g = 0; g < GROUPS; g++) {
            int next = min(g + 1, GROUPS - 1) * TILE_ROWS;
            uint32_t entry = entries[next], leader = leaders[next];

            if (g * RUN % CHUNK_STEPS == 0)
                barrier_wait(barriers + g * RUN / CHUNK_STEPS * 8, 0);
#pragma unroll
            for (int m = 0; m < RUN; m += batch) {
                rows all[batch];

#pragma unroll
                for (int i = 0; i < batch; i++)
                    load(all[i], self, found[m + i]);
                wgmma_fence();
#pragma unroll
                for (int i = 0; i < batch; i++)
                    start(acc, all[i], at + i * image);
                wgmma_commit();
                at += batch * image;
                if (m == 0)
                    finder = {self, entry, leader};
#pragma unroll
                for (int i = 0; i < batch; i++)
                    found[m + i] = finder.find(m + i);
                wgmma_wait<0>();
            }
        }
    }

    /* The steps of a pass, one after the other. */
    __device__ __forceinline__ void steps(sums<WIDTH> &acc, const struct self &self,
                                          const struct tile &tile, uint32_t part) const
    {
#pragma unroll 1
        for (uint32_t left = part; left; left &= left - 1) {
            int step = __ffs(left) - 1;
            rows one;

            load(one, self, find_copy(self, tile, part, step));
            barrier_wait(barriers + step / CHUNK_STEPS * 8, 0);
            wgmma_fence();
            start(acc, one, first + step * image);
            wgmma_commit();
            wgmma_wait<0>();
        }
    }
};

/* Also zeroes the team's rows of zeros. */
template <int DEPTH, int WIDTH>
static __device__ __forceinline__ struct self make_self(const struct conv_job &job,
                                                        uint8_t *memory, uint32_t barriers)
{
    struct team_memory bytes = team_memory<DEPTH, WIDTH>(job);
    int team = __shfl_sync(~0u, threadIdx.x / TEAM, 0), thread = threadIdx.x % TEAM;
    uint8_t *own = memory + bytes.weights + team * bytes.team;
    uint32_t blob_there = barriers + (CHUNKS + team) * 8;

    if (thread < ZERO_ROWS * (DEPTH / 8))
        *(uint4 *)(own + thread / ZERO_ROWS * bytes.plane + thread % ZERO_ROWS * 16) =
            make_uint4(0, 0, 0, 0);
    return {team,
            thread,
            (int)threadIdx.x % 32,
            shared_address(own),
            (uint32_t)bytes.plane,
            own + bytes.plane * (DEPTH / 8),
            blob_there,
            blob_there + TEAMS * 8};
}

#endif

template <int DEPTH, int WIDTH>
static __global__ void __launch_bounds__(TEAMS *TEAM, 1)
    conv_teams(const __grid_constant__ struct conv_job job)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(ALIGNMENT) uint8_t memory[];
    __shared__ uint64_t barriers[BARRIERS];
    uint32_t at = shared_address(barriers), weights = shared_address(memory);
    struct self self = make_self<DEPTH, WIDTH>(job, memory, at);
    multiply<DEPTH, WIDTH> multiply = {wgmma_columns<DEPTH>(weights), at};

    if (threadIdx.x == 0) {
        for (int i = 0; i < BARRIERS; i++)
            barrier_init(at + i * 8, 1);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    if (threadIdx.x == TEAMS * TEAM - 32)
        order_weights(job, weights, at, shape<DEPTH, WIDTH>::image);
    if (!job.conv.blobs_settled)
        settle();
    team_tiles<DEPTH, WIDTH, TEAMS>(job, self, multiply);
    if (threadIdx.x == TEAMS * TEAM - 32)
        wait_for_weights(at);
#endif
}

/* Halo rows of a team, where a block has `room` bytes; a multiple of 8, so that all planes lie in
 * banks alike. */
template <int DEPTH, int WIDTH>
static int32_t capacity_of(const struct conv_job *job, int32_t room)
{
    struct conv_job none = *job;
    struct team_memory bytes;
    int32_t rows, most = (job->conv.blobs.max_halo + 7) / 8 * 8;

    none.capacity = 0;
    bytes = team_memory<DEPTH, WIDTH>(none);
    rows = ((room - bytes.weights) / TEAMS - bytes.team) / (DEPTH * 2) / 8 * 8;
    if (most < TILE_ROWS)
        most = TILE_ROWS;
    return rows < most ? rows : most;
}

template <int DEPTH, int WIDTH>
static cudaError_t launch(struct conv_job *job, int processors, cudaStream_t stream)
{
    struct team_memory bytes;
    cudaError_t code;

    job->capacity =
        capacity_of<DEPTH, WIDTH>(job, SPC_CUDA_SHARED_SM90 - SPC_CUDA_SHARED_BLOCK);
    if (job->capacity < TILE_ROWS)
        return cudaErrorNotSupported;
    bytes = team_memory<DEPTH, WIDTH>(*job);
    code = spc_cuda_allow_shared((const void *)conv_teams<DEPTH, WIDTH>);
    return code ? code
                : spc_cuda_launch(conv_teams<DEPTH, WIDTH>, spc_cuda_conv_grid(job, processors),
                                  TEAMS * TEAM, bytes.weights + TEAMS * bytes.team, stream, *job);
}

extern "C" cudaError_t spc_cuda_conv_teams(struct conv_job *job, struct spc_cuda_conv_shape shape,
                                           int processors, cudaStream_t stream)
{
    if (job->conv.blobs.run != RUN || job->conv.blobs.groups != GROUPS)
        return cudaErrorNotSupported;
    switch (shape.depth * 1000 + shape.width) {
    case 16016:
        return launch<16, 16>(job, processors, stream);
    case 16032:
        return launch<16, 32>(job, processors, stream);
    case 32032:
        return launch<32, 32>(job, processors, stream);
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
