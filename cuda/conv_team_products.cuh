/* SPDX-License-Identifier: MIT */
/*
 * The products of a team of the fast convolution of few channels on Hopper.
 *
 * Four neighbouring lanes load a row, a quarter each and only where there is a neighbour: shared
 * memory is what these kernels wait for. ldmatrix would read every row, zeros for those that have
 * none, and eight at a time, some of which meet in one bank; here it is two rows of 32 channels or
 * four of 16 at a time. Weights are packed a second time with channels in this order. Rows are
 * found while products are under way, so that there is no table.
 */
#ifndef SPC_CUDA_CONV_TEAM_PRODUCTS_CUH
#define SPC_CUDA_CONV_TEAM_PRODUCTS_CUH

#include "cuda/conv_team.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/* A quarter of an input row. */
template <int DEPTH> struct quarter {
    uint32_t pairs[DEPTH / 8]; /* of channels */

    /* Loads it where it is `present` (not 0), else leaves what there is: nothing is read in vain,
     * and two rows that lie next to one another are read at once. Where it was present, `from`
     * goes on to the next row. */
    __device__ __forceinline__ void load(uint32_t &from, uint32_t present)
    {
        if constexpr (DEPTH == 32)
            asm volatile("{\n"
                         ".reg .pred there;\n"
                         "setp.ne.u32 there, %5, 0;\n"
                         "@there ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];\n"
                         "@there add.u32 %4, %4, 64;\n"
                         "}"
                         : "+r"(pairs[0]), "+r"(pairs[1]), "+r"(pairs[2]), "+r"(pairs[3]),
                           "+r"(from)
                         : "r"(present)
                         : "memory");
        else
            asm volatile("{\n"
                         ".reg .pred there;\n"
                         "setp.ne.u32 there, %3, 0;\n"
                         "@there ld.shared.v2.u32 {%0, %1}, [%2];\n"
                         "@there add.u32 %2, %2, 32;\n"
                         "}"
                         : "+r"(pairs[0]), "+r"(pairs[1]), "+r"(from)
                         : "r"(present)
                         : "memory");
    }
};

/* Where a thread's rows find their neighbours of a group; the whole halo is there. */
template <int DEPTH, int ROWS> struct finder {
    uint32_t next[ROWS];
    uint32_t present; /* RUN bits of each row */

    /* Group `g` of a narrow blob. */
    __device__ __forceinline__ void open(const struct self &self, const struct tile &tile, int g)
    {
        const uint16_t *entries =
            (const uint16_t *)(tile.blob + sizeof(struct spc_cuda_blob_header)) + g * TILE_ROWS +
            self.row;

        present = 0;
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            uint32_t entry = entries[i * 8];

            next[i] = self.halo + (entry & below(SPC_CUDA_BLOB_NARROW_SHIFT)) * (DEPTH * 2) +
                      self.lane % 4 * (DEPTH / 2);
            present |= entry >> SPC_CUDA_BLOB_NARROW_SHIFT << i * RUN;
        }
    }

    /* Not 0 where a row has a neighbour. */
    __device__ __forceinline__ uint32_t has(int row, int m) const
    {
        return present & 1u << (row * RUN + m);
    }

    /* Member after member. */
    __device__ __forceinline__ void load(struct quarter<DEPTH> (&to)[ROWS], int m)
    {
#pragma unroll
        for (int i = 0; i < ROWS; i++)
            to[i].load(next[i], has(i, m));
    }
};

/* Sums of a warp's rows: MATRICES of 16 rows. */
template <int WIDTH, int MATRICES> using sums = float[MATRICES][WIDTH / 8][4];

/* Products of a team's rows with the weights, added to its sums. */
template <int DEPTH, int WIDTH, int MATRICES> struct multiply {
    const struct self &self;
    const struct tile &tile;
    uint64_t weights;  /* describes the columns of step 0 */
    uint32_t barriers; /* of chunks of weights */

    static constexpr int rows = 2 * MATRICES;                     /* of a thread */
    static constexpr int image = shape<DEPTH, WIDTH>::image / 16; /* as columns are described */
    static constexpr int batch = WIDTH == 16 ? RUN : 1;           /* steps that start together */

    using quarters = struct quarter<DEPTH>[rows];
    using fragments = uint32_t[MATRICES][DEPTH / 16][4];

    __device__ __forceinline__ void wait_for(int step) const
    {
        barrier_wait(barriers + step / CHUNK_STEPS * 8, 0);
    }

    /* As products read them. What a lane has of rows without a neighbour is not theirs. */
    __device__ __forceinline__ void arrange(fragments &to, const quarters &from,
                                            const uint32_t (&present)[rows]) const
    {
#pragma unroll
        for (int m = 0; m < MATRICES; m++)
#pragma unroll
            for (int k = 0; k < DEPTH / 16; k++)
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    int row = 2 * m + i % 2;

                    to[m][k][i] = present[row] ? from[row].pairs[2 * k + i / 2] : 0;
                    asm volatile("" : "+r"(to[m][k][i])); /* not between products */
                }
    }

    __device__ __forceinline__ void start(sums<WIDTH, MATRICES> &acc, const fragments &from,
                                          int step) const
    {
#pragma unroll
        for (int m = 0; m < MATRICES; m++)
#pragma unroll
            for (int k = 0; k < DEPTH / 16; k++)
                wgmma(acc[m], from[m][k], weights + step * image + 2 * k);
    }

    /* The steps of group `g`, the first of which are loaded. Behind those of the group the first
     * of group `next` are, while products are under way. */
    __device__ __forceinline__ void column(sums<WIDTH, MATRICES> &acc, quarters (&loaded)[batch],
                                           struct finder<DEPTH, rows> &finder, int g,
                                           int next) const
    {
#pragma unroll
        for (int m = 0; m < RUN; m += batch) {
            fragments all[batch];

#pragma unroll
            for (int i = 0; i < batch; i++) {
                uint32_t present[rows];

#pragma unroll
                for (int row = 0; row < rows; row++)
                    present[row] = finder.has(row, m + i);
                arrange(all[i], loaded[i], present);
            }
            wgmma_fence();
#pragma unroll
            for (int i = 0; i < batch; i++)
                start(acc, all[i], g * RUN + m + i);
            wgmma_commit();
            if (m + batch == RUN)
                finder.open(self, tile, next);
#pragma unroll
            for (int i = 0; i < batch; i++)
                finder.load(loaded[i], (m + batch + i) % RUN);
            wgmma_wait<0>();
        }
    }

    /* Groups of a tile whose halo is there as a whole. */
    __device__ __forceinline__ void columns(sums<WIDTH, MATRICES> &acc,
                                            const struct share &share) const
    {
        struct finder<DEPTH, rows> finder;
        quarters loaded[batch] = {};

        finder.open(self, tile, share.first);
#pragma unroll
        for (int m = 0; m < batch; m++)
            finder.load(loaded[m], m);
        if constexpr (MATRICES == 2)
            all_columns(acc, loaded, finder);
        else
            some_columns(acc, loaded, finder, share);
    }

    /* All of them: a chunk of weights after the other, without a question in between. */
    __device__ __forceinline__ void all_columns(sums<WIDTH, MATRICES> &acc,
                                                quarters (&loaded)[batch],
                                                struct finder<DEPTH, rows> &finder) const
    {
#pragma unroll 1
        for (int chunk = 0; chunk < CHUNKS; chunk++) {
            wait_for(chunk * CHUNK_STEPS);
#pragma unroll
            for (int i = 0; i < CHUNK_GROUPS; i++) {
                int g = chunk * CHUNK_GROUPS + i;

                column(acc, loaded, finder, g, min(g + 1, GROUPS - 1));
            }
        }
    }

    __device__ __forceinline__ void some_columns(sums<WIDTH, MATRICES> &acc,
                                                 quarters (&loaded)[batch],
                                                 struct finder<DEPTH, rows> &finder,
                                                 const struct share &share) const
    {
#pragma unroll 1
        for (int g = share.first; g < share.end; g++) {
            if (g % CHUNK_GROUPS == 0 || g == share.first)
                wait_for(g * RUN);
            column(acc, loaded, finder, g, min(g + 1, share.end - 1));
        }
    }

    /* The steps of a pass, one after the other. */
    __device__ __forceinline__ void steps(sums<WIDTH, MATRICES> &acc, uint32_t part) const
    {
#pragma unroll 1
        for (uint32_t left = part; left; left &= left - 1) {
            int step = __ffs(left) - 1;
            quarters loaded = {};
            fragments one;
            uint32_t present[rows];

#pragma unroll
            for (int i = 0; i < rows; i++) {
                int row = self.row + i * 8;
                struct entry entry = read_entry(tile, step / RUN * TILE_ROWS + row);
                uint32_t from = self.halo + pass_slot(part, step, row) * (DEPTH * 2) +
                                self.lane % 4 * (DEPTH / 2);

                present[i] = entry.present >> step % RUN & 1;
                loaded[i].load(from, present[i]);
            }
            arrange(one, loaded, present);
            wait_for(step);
            wgmma_fence();
            start(acc, one, step);
            wgmma_commit();
            wgmma_wait<0>();
        }
    }
};

#endif

#endif
