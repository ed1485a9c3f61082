/* SPDX-License-Identifier: MIT */
/* Steps on dense tensors: scatter, transpose, reshape. */
#include "cpu/instance.h"

#include <string.h>

#define ROWS_CHUNK 256              /* sparse rows of a task */
#define BYTES_CHUNK (512 * 1024)    /* dense memory of a task: what stays in L2 */

struct dense {
    const struct spc__cpu *cpu;
    const struct spc__node *node;
    const struct spc__sites *sites;
    const struct spc__value *in_value;
    const char *in;
    char *out;
    size_t size;           /* bytes of an element */
    size_t bytes;          /* of the output */
    int64_t channels_task; /* channels of a task, where each has a block of its own */
};

static void find_cells(void *context, int64_t task, int worker)
{
    const struct dense *dense = context;
    const int64_t *stride = dense->node->scatter_stride;
    const struct spc__sites *sites = dense->sites;
    int64_t last = (task + 1) * ROWS_CHUNK;

    (void)worker;
    for (int64_t row = task * ROWS_CHUNK; row < sites->count && row < last; row++) {
        const int32_t *zyx = sites->coords + 3 * row;

        dense->cpu->cells[row] = zyx[0] * stride[1] + zyx[1] * stride[2] + zyx[2] * stride[3];
    }
}

static void clear_bytes(void *context, int64_t task, int worker)
{
    const struct dense *dense = context;
    size_t first = (size_t)task * BYTES_CHUNK, left = dense->bytes - first;

    (void)worker;
    memset(dense->out + first, 0, left < BYTES_CHUNK ? left : BYTES_CHUNK);
}

/* Some channels, each a contiguous block: cleared and filled while they are in the cache, so that
 * the output goes to memory once. */
static void fill_channels(void *context, int64_t task, int worker)
{
    const struct dense *dense = context;
    int64_t channels = dense->in_value->channels, first = task * dense->channels_task;
    int64_t left = channels - first;
    struct spc__scatter scatter = {
        .rows = dense->sites->count,
        .channels = left < dense->channels_task ? left : dense->channels_task,
        .channel_stride = dense->node->scatter_stride[0],
        .cells = dense->cpu->cells,
        .size = (int)dense->size,
    };
    char *block = dense->out + (size_t)(first * scatter.channel_stride) * dense->size;

    (void)worker;
    memset(block, 0, (size_t)(scatter.channels * scatter.channel_stride) * dense->size);
    dense->cpu->kernels->scatter(&scatter, dense->in + (size_t)first * dense->size, channels,
                                 block);
}

static void fill_rows(void *context, int64_t task, int worker)
{
    const struct dense *dense = context;
    int64_t channels = dense->in_value->channels, first = task * ROWS_CHUNK;
    int64_t left = dense->sites->count - first;
    struct spc__scatter scatter = {
        .rows = left < ROWS_CHUNK ? left : ROWS_CHUNK,
        .channels = channels,
        .channel_stride = dense->node->scatter_stride[0],
        .cells = dense->cpu->cells + first,
        .size = (int)dense->size,
    };

    (void)worker;
    dense->cpu->kernels->scatter(&scatter, dense->in + (size_t)(first * channels) * dense->size,
                                 channels, dense->out);
}

/* Layout NCHW32: the channels of a row are spread over blocks of 32. */
static void fill_rows_nchw32(void *context, int64_t task, int worker)
{
    const struct dense *dense = context;
    const int32_t *grid = dense->sites->grid;
    int64_t channels = dense->in_value->channels, last = (task + 1) * ROWS_CHUNK;

    (void)worker;
    for (int64_t row = task * ROWS_CHUNK; row < dense->sites->count && row < last; row++) {
        const int32_t *zyx = dense->sites->coords + 3 * row;

        for (int64_t c = 0; c < channels; c++) {
            int64_t q = c * grid[0] + zyx[0];
            int64_t to = ((q / 32 * grid[1] + zyx[1]) * grid[2] + zyx[2]) * 32 + q % 32;

            memcpy(dense->out + (size_t)to * dense->size,
                   dense->in + (size_t)(row * channels + c) * dense->size, dense->size);
        }
    }
}

/* Whether every channel's cells are one block that no other channel has a cell in: channels are
 * the outermost axis. */
static bool channel_blocks(const struct dense *dense)
{
    int64_t block = dense->node->scatter_stride[0];

    return (size_t)(block * dense->in_value->channels) * dense->size == dense->bytes;
}

void spc__cpu_run_scatter(struct spc__cpu *cpu, const struct spc__node *node)
{
    const struct spc__plan *plan = cpu->plan;
    const struct spc__value *in_value = &plan->graph.values[node->in[0]];
    struct dense dense = {
        .cpu = cpu,
        .node = node,
        .sites = &cpu->levels[in_value->level].sites,
        .in_value = in_value,
        .in = cpu->values[node->in[0]],
        .out = cpu->values[node->out],
        .size = spc_dtype_size(plan->values[node->out].dtype),
    };
    int64_t row_tasks = (dense.sites->count + ROWS_CHUNK - 1) / ROWS_CHUNK;
    bool nchw32 = plan->graph.values[node->out].layout == SPC_LAYOUT_NCHW32;

    dense.bytes = (size_t)spc__cpu_count(cpu, node->out) * dense.size;
    if (!nchw32)
        spc__pool_run(cpu->pool, row_tasks, find_cells, &dense);
    if (!nchw32 && channel_blocks(&dense)) {
        dense.channels_task =
            BYTES_CHUNK / (node->scatter_stride[0] * (int64_t)dense.size) + 1;
        spc__pool_run(cpu->pool,
                      (in_value->channels + dense.channels_task - 1) / dense.channels_task,
                      fill_channels, &dense);
        return;
    }
    spc__pool_run(cpu->pool, (int64_t)((dense.bytes + BYTES_CHUNK - 1) / BYTES_CHUNK), clear_bytes,
                  &dense);
    spc__pool_run(cpu->pool, row_tasks, nchw32 ? fill_rows_nchw32 : fill_rows, &dense);
}

struct transpose {
    const char *in;
    char *out;
    size_t size;
    int rank;
    int64_t dims[SPC_MAX_RANK];   /* of the output */
    int64_t stride[SPC_MAX_RANK]; /* elements of the input, for a step in each output dim */
};

/* One line of the output: all its dims but the last are fixed. */
static void transpose_line(void *context, int64_t line, int worker)
{
    const struct transpose *t = context;
    int64_t n = t->dims[t->rank - 1], step = t->stride[t->rank - 1], from = 0, rest = line;
    char *out = t->out + (size_t)(line * n) * t->size;

    (void)worker;
    for (int i = t->rank - 2; i >= 0; i--) {
        from += rest % t->dims[i] * t->stride[i];
        rest /= t->dims[i];
    }
    for (int64_t i = 0; i < n; i++)
        memcpy(out + (size_t)i * t->size, t->in + (size_t)(from + i * step) * t->size, t->size);
}

void spc__cpu_run_transpose(struct spc__cpu *cpu, const struct spc__node *node)
{
    const struct spc__value *in = &cpu->plan->graph.values[node->in[0]];
    const struct spc__value *out = &cpu->plan->graph.values[node->out];
    int64_t in_stride[SPC_MAX_RANK] = {0}, stride = 1, lines = 1;
    struct transpose t = {
        .in = cpu->values[node->in[0]],
        .out = cpu->values[node->out],
        .size = spc_dtype_size(cpu->plan->values[node->out].dtype),
        .rank = out->rank,
    };

    for (int i = in->rank - 1; i >= 0; i--) {
        in_stride[i] = stride;
        stride *= in->dims[i];
    }
    for (int i = 0; i < t.rank; i++) {
        t.dims[i] = out->dims[i];
        t.stride[i] = in_stride[node->perm[i]];
        lines *= i < t.rank - 1 ? t.dims[i] : 1;
    }
    spc__pool_run(cpu->pool, lines, transpose_line, &t);
}

void spc__cpu_run_reshape(struct spc__cpu *cpu, const struct spc__node *node)
{
    size_t size = spc_dtype_size(cpu->plan->values[node->out].dtype);

    if (cpu->values[node->out] != cpu->values[node->in[0]])
        memcpy(cpu->values[node->out], cpu->values[node->in[0]],
               (size_t)spc__cpu_count(cpu, node->out) * size);
}
