/* SPDX-License-Identifier: MIT */
/* Index cases on the device: levels there and on the CPU side by side. */
#include "cuda_sites.h"

#include "device.h"

#include <stdlib.h>
#include <string.h>

static void need(enum spc_status status, const struct spc_error *err)
{
    if (!status)
        return;
    fprintf(stderr, "spc-check: %s\n", err->message);
    exit(2);
}

static int32_t tiles_of(const struct spc_cuda_sites *sites)
{
    return sites->tiles_y * sites->tiles_x;
}

static size_t words_of(const struct spc_cuda_sites *sites)
{
    return (size_t)tiles_of(sites) * SPC_CUDA_TILE_COLUMNS * (size_t)sites->words;
}

void twin_make(struct twin *twin, const int32_t grid[3], int64_t bound)
{
    struct spc_cuda_sites *cuda = &twin->cuda;
    struct spc_error err;
    size_t words;

    need(spc__sites_init(&twin->cpu, grid, bound, &err), &err);
    memset(cuda, 0, sizeof(*cuda));
    memcpy(cuda->grid, grid, sizeof(cuda->grid));
    cuda->tiles_y = twin->cpu.tiles_y;
    cuda->tiles_x = twin->cpu.tiles_x;
    cuda->words = twin->cpu.words;
    cuda->bound = bound;
    cuda->group_shift = spc_cuda_group_shift(tiles_of(cuda));
    words = words_of(cuda);
    cuda->mask = device_alloc(words * sizeof(uint64_t));
    cuda->base = device_alloc(words * sizeof(uint32_t));
    cuda->tile_count = device_alloc((size_t)tiles_of(cuda) * sizeof(int32_t));
    cuda->group_count = device_alloc(SPC_CUDA_MAX_GROUPS * sizeof(int64_t));
    cuda->coords = device_alloc((size_t)bound * 4 * sizeof(int16_t));
    cuda->count = device_alloc(sizeof(int32_t));
}

void twin_clear(struct twin *twin)
{
    spc__sites_clear(&twin->cpu);
}

static bool same_coords(struct check *check, const struct twin *twin)
{
    size_t count = (size_t)twin->cpu.count;
    int16_t(*coords)[4] = check_alloc(check, count * sizeof(*coords));
    int32_t(*wide)[3] = check_alloc(check, count * sizeof(*wide));

    device_read(coords, twin->cuda.coords, count * sizeof(*coords));
    for (size_t i = 0; i < count; i++)
        for (int a = 0; a < 3; a++)
            wide[i][a] = coords[i][a];
    return check_same(check, "coordinates", wide, twin->cpu.coords, count * sizeof(*wide));
}

/* Words of tiles without sites are zero, those of others as on the CPU. */
static bool same_words(struct check *check, const struct twin *twin)
{
    const struct spc__sites *cpu = &twin->cpu;
    size_t words = words_of(&twin->cuda), tile = (size_t)SPC_CUDA_TILE_COLUMNS * cpu->words;
    uint64_t *mask = check_alloc(check, words * sizeof(*mask));
    uint64_t *expected = check_alloc(check, words * sizeof(*expected));
    uint32_t *base = check_alloc(check, words * sizeof(*base));
    bool same = true;

    device_read(mask, twin->cuda.mask, words * sizeof(*mask));
    device_read(base, twin->cuda.base, words * sizeof(*base));
    memset(expected, 0, words * sizeof(*expected));
    for (int32_t slot = 0; slot < cpu->num_slots; slot++) {
        size_t at = (size_t)cpu->tile_of_slot[slot] * tile;

        memcpy(expected + at, cpu->mask + slot * tile, tile * sizeof(*expected));
        for (size_t i = 0; i < tile; i++)
            same = same && (!cpu->mask[slot * tile + i] ||
                            base[at + i] == cpu->base[slot * tile + i]);
    }
    check_true(check, same, "a word has another first row");
    return check_same(check, "words", mask, expected, words * sizeof(*mask)) && same;
}

bool twin_same(struct check *check, const struct twin *twin)
{
    int32_t count;

    device_read(&count, twin->cuda.count, sizeof(count));
    return check_true(check, count == twin->cpu.count, "%d sites, expected %lld", count,
                      (long long)twin->cpu.count) &&
           same_coords(check, twin) && same_words(check, twin);
}

struct spc_cuda_geometry twin_geometry(const struct spc__geometry *geometry)
{
    struct spc_cuda_geometry cuda = {geometry->subm, geometry->inverse};

    memcpy(cuda.kernel, geometry->kernel, sizeof(cuda.kernel));
    memcpy(cuda.stride, geometry->stride, sizeof(cuda.stride));
    memcpy(cuda.padding, geometry->padding, sizeof(cuda.padding));
    memcpy(cuda.dilation, geometry->dilation, sizeof(cuda.dilation));
    return cuda;
}

int32_t *twin_neighbours(struct check *check, const struct spc__geometry *geometry,
                         const struct spc__sites *in, const struct spc__sites *out)
{
    int offsets = geometry->kernel[0] * geometry->kernel[1] * geometry->kernel[2];
    size_t size = (size_t)offsets * (size_t)out->count * sizeof(int32_t);
    int32_t *nbr = check_alloc(check, size);
    struct spc_error err;
    struct spc__pool *pool = spc__pool_create(1, &err);
    struct spc__pairs pairs;

    need(pool ? SPC_OK : SPC_ERR_MEMORY, &err);
    need(spc__pairs_init(&pairs, offsets, out->bound, SPC__MAX_WINDOW, &err), &err);
    spc__pairs_build_c(&pairs, geometry, in, out, SPC__MAX_WINDOW, pool);
    memset(nbr, 0xff, size);
    for (int64_t w = 0; w < pairs.num_windows; w++) {
        const int64_t *start = pairs.start + w * (offsets + 1);

        for (int k = 0; k < offsets; k++)
            for (int64_t i = start[k]; i < start[k + 1]; i++)
                nbr[k * out->count + w * pairs.window + pairs.out[i]] = pairs.in[i];
    }
    spc__pairs_clear(&pairs);
    spc__pool_destroy(pool);
    return nbr;
}
