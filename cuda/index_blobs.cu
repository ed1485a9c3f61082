/* SPDX-License-Identifier: MIT */
/* The blobs of rulebooks: of columns of one word, of any other geometry, and which is which. */
#include "cuda/index_blob.cuh"

#define MAX_BLOCKS (132 * BLOCKS_PER_SM) /* as many as a large GPU runs at once */

/* ---- columns of one word ---- */

/* Kernels of up to 3 x 3 columns, where an offset meets at * stride + k * dilation - padding on
 * each axis; not inverse ones. A part of the threads has the columns of one ky. */
struct column_job {
    const short4 *coords; /* of the output */
    const int32_t *count;
    uint32_t out_bound, in_bound;
    const uint64_t *mask; /* of the input */
    const uint32_t *base;
    uint32_t grid_y, grid_x, tiles_x;
    int32_t kernel_y, kernel_x, dilation_y, dilation_x;
    int32_t stride[3], padding[3];
    struct spc_cuda_blobs blobs;
    struct entries;
};

struct column_job::entries {
    uint64_t mask[PARTS];
    uint32_t kept[PARTS]; /* first each column's base, then the entries */
    int32_t z, first, count;
    static constexpr int32_t step = 1, unroll = PARTS;

    __device__ __forceinline__ entries(const struct column_job &j, int32_t ky, short4 at,
                                       bool there)
        : first(ky * j.kernel_x), count(ky < j.kernel_y ? j.kernel_x : 0)
    {
        uint32_t y = at.y * j.stride[1] + (ky * j.dilation_y - j.padding[1]);
        uint32_t x = at.z * j.stride[2] - j.padding[2];
        uint32_t row = y / SPC_CUDA_TILE_Y * (j.tiles_x * SPC_CUDA_TILE_COLUMNS) +
                       y % SPC_CUDA_TILE_Y * SPC_CUDA_TILE_X;

        z = at.x * j.stride[0] - j.padding[0];
        there = there && y < j.grid_y;
#pragma unroll
        for (int i = 0; i < PARTS; i++) {
            uint32_t column = row + x / SPC_CUDA_TILE_X * SPC_CUDA_TILE_COLUMNS +
                              x % SPC_CUDA_TILE_X;

            mask[i] = 0;
            kept[i] = 0;
            if (there && i < count && x < j.grid_x) {
                mask[i] = __ldcg(j.mask + column);
                kept[i] = __ldcg(j.base + column);
            }
            x += j.dilation_x;
        }
    }
    __device__ __forceinline__ void find(const struct column_job &j)
    {
        uint64_t below = (1ull << max(z, 0)) - 1;

#pragma unroll
        for (int i = 0; i < PARTS; i++)
            kept[i] = make_entry(kept[i] + __popcll(mask[i] & below),
                                 (uint32_t)(mask[i] << 1 >> (z + 1)) & ((1u << j.blobs.run) - 1),
                                 j.in_bound);
    }
    static __device__ constexpr int32_t most()
    {
        return PARTS;
    }
    /* 0 past the last. */
    __device__ __forceinline__ uint32_t get(int32_t i) const
    {
        return kept[i];
    }
};

/* Whether a job is one of columns: then the lowest z that a row meets is -1 .. 62. */
static bool is_column_job(const struct spc_cuda_blob_job *job)
{
    const struct spc_cuda_geometry *g = &job->geometry;
    int32_t padding = g->subm ? g->kernel[0] / 2 * g->dilation[0] : g->padding[0];
    int32_t stride = g->subm ? 1 : g->stride[0];

    return job->in.words == 1 && job->in.grid[0] < 64 && !g->inverse && padding <= 1 &&
           (job->out.grid[0] - 1) * (int64_t)stride - padding < 63 && g->kernel[1] <= PARTS &&
           g->kernel[2] <= PARTS && job->blobs->groups == g->kernel[1] * g->kernel[2];
}

static struct column_job make_column_job(const struct spc_cuda_blob_job *job)
{
    const struct spc_cuda_geometry *g = &job->geometry;
    struct column_job mine = {};

    mine.coords = (const short4 *)job->out.coords;
    mine.count = job->out.count;
    mine.out_bound = (uint32_t)job->out.bound;
    mine.in_bound = (uint32_t)job->in.bound;
    mine.mask = job->in.mask;
    mine.base = job->in.base;
    mine.grid_y = (uint32_t)job->in.grid[1];
    mine.grid_x = (uint32_t)job->in.grid[2];
    mine.tiles_x = (uint32_t)job->in.tiles_x;
    mine.kernel_y = g->kernel[1];
    mine.kernel_x = g->kernel[2];
    mine.dilation_y = g->dilation[1];
    mine.dilation_x = g->dilation[2];
    for (int a = 0; a < 3; a++) {
        mine.stride[a] = g->subm ? 1 : g->stride[a];
        mine.padding[a] = g->subm ? g->kernel[a] / 2 * g->dilation[a] : g->padding[a];
    }
    mine.blobs = *job->blobs;
    return mine;
}

/* ---- any geometry ---- */

struct any_job {
    const short4 *coords; /* of the output */
    const int32_t *count;
    uint32_t out_bound;
    struct spc_cuda_sites in;
    struct spc_cuda_geometry geometry;
    struct spc_cuda_blobs blobs;
    struct entries;
};

/* Of groups part, part + PARTS, ..., looked up each time, member by member. */
struct any_job::entries {
    const struct any_job &job;
    short4 at;
    bool there;
    int32_t first, count;
    static constexpr int32_t step = PARTS, unroll = 1;

    __device__ __forceinline__ entries(const struct any_job &j, int32_t part, short4 at_,
                                       bool there_)
        : job(j), at(at_), there(there_), first(part),
          count((j.blobs.groups - part + PARTS - 1) / PARTS)
    {
    }
    __device__ __forceinline__ void find(const struct any_job &j)
    {
        (void)j;
    }
    __device__ __forceinline__ int32_t most() const
    {
        return count;
    }
    __device__ uint32_t get(int32_t i) const
    {
        const struct spc_cuda_geometry &g = job.geometry;
        uint32_t place = 0, present = 0;

        for (int32_t m = 0; there && m < job.blobs.run; m++) {
            int32_t k = m * job.blobs.groups + first + i * step, kx = k % g.kernel[2];
            int32_t ky = k / g.kernel[2] % g.kernel[1], kz = k / g.kernel[2] / g.kernel[1];
            int32_t row =
                spc_cuda_row(job.in, spc_cuda_meets(g, 0, at.x, kz),
                             spc_cuda_meets(g, 1, at.y, ky), spc_cuda_meets(g, 2, at.z, kx));

            if (row < 0)
                continue;
            place = present ? place : row;
            present |= 1u << m;
        }
        return make_entry(place, present, (uint32_t)job.in.bound);
    }
};

static struct any_job make_any_job(const struct spc_cuda_blob_job *job)
{
    struct any_job mine = {};

    mine.coords = (const short4 *)job->out.coords;
    mine.count = job->out.count;
    mine.out_bound = (uint32_t)job->out.bound;
    mine.in = job->in;
    mine.geometry = job->geometry;
    mine.blobs = *job->blobs;
    return mine;
}

/* ---- launch ---- */

extern "C" cudaError_t spc_cuda_index_blobs(const struct spc_cuda_blob_job *jobs, int num_jobs,
                                            enum spc_cuda_order order, cudaStream_t stream)
{
    bool overlap = order != SPC_CUDA_BESIDE;
    cudaError_t code = cudaSuccess;

    for (int first = 0; first < num_jobs && !code; first += MAX_JOBS) {
        struct batch<struct column_job> columns = {};
        struct batch<struct any_job> others = {};
        int64_t tiles = 0;
        unsigned blocks;

        for (int i = first; i < num_jobs && i < first + MAX_JOBS; i++) {
            if (is_column_job(&jobs[i]))
                columns.jobs[columns.num_jobs++] = make_column_job(&jobs[i]);
            else
                others.jobs[others.num_jobs++] = make_any_job(&jobs[i]);
            tiles += spc_cuda_blob_tiles(jobs[i].out.bound);
        }
        blocks = (unsigned)(tiles < MAX_BLOCKS ? tiles : MAX_BLOCKS);
        columns.settled = order == SPC_CUDA_SETTLED && !first;
        others.settled = columns.settled && !columns.num_jobs;
        code = launch_blobs(columns, blocks, overlap, stream);
        if (!code)
            code = launch_blobs(others, blocks, overlap, stream);
    }
    return code;
}
