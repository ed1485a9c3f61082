/* SPDX-License-Identifier: MIT */
/* The reference for pairs: for every output row and kernel offset, one lookup. */
#include "cpu/pairs_build.h"

static int32_t find(const struct spc__pairs_job *job, const int32_t *coords, int k)
{
    const struct spc__geometry *g = job->geometry;
    int32_t kx = k % g->kernel[2];
    int32_t ky = k / g->kernel[2] % g->kernel[1];
    int32_t kz = k / g->kernel[2] / g->kernel[1];

    return spc__sites_row(job->in, spc__pairs_input(g, 0, coords[0], kz),
                          spc__pairs_input(g, 1, coords[1], ky),
                          spc__pairs_input(g, 2, coords[2], kx));
}

static void window_c(const struct spc__pairs_job *job, int64_t first_row, int64_t end_row,
                     int64_t *start)
{
    int64_t place = start[0];

    for (int k = 0; k < job->pairs->offsets; k++) {
        for (int64_t row = first_row; row < end_row; row++) {
            int32_t in = find(job, job->out->coords + 3 * row, k);

            if (in < 0)
                continue;
            job->pairs->in[place] = in;
            job->pairs->out[place++] = (uint16_t)(row - first_row);
        }
        start[k + 1] = place;
    }
}

void spc__pairs_build_c(struct spc__pairs *pairs, const struct spc__geometry *geometry,
                        const struct spc__sites *in, const struct spc__sites *out, int window,
                        struct spc__pool *pool)
{
    struct spc__pairs_job job = {pairs, geometry, in, out, window_c};

    spc__pairs_run(&job, window, pool);
}
