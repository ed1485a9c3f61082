/* SPDX-License-Identifier: MIT */
/*
 * A convolution: window by window of output rows, in a window offset by offset.
 *
 * A window's accumulators, float32 and padded to whole panels, live in scratch memory of the
 * thread. They start as the bias, every offset adds its pairs, and the epilogue writes the rows
 * once. The weights of an offset are read for a whole window, so they come from L2; the input rows
 * of neighbouring windows overlap, and site order keeps them close.
 */
#include "cpu/instance.h"

#include <string.h>

struct conv {
    struct spc__cpu *cpu;
    const struct spc__node *node;
    const struct spc__packed *packed;
    const struct spc__pairs *pairs;
    const float *in;
    const char *residual; /* or NULL */
    char *out;
    size_t element; /* bytes, of out and residual */
    int64_t rows;
};

int spc__cpu_window(int64_t rows, int panels, int threads)
{
    int64_t most = SPC__WINDOW_FLOATS / (panels * SPC__PANEL), windows, window;

    most = most < SPC__MAX_WINDOW ? most : SPC__MAX_WINDOW;
    most = most > SPC__MIN_WINDOW ? most : SPC__MIN_WINDOW;
    /* As many windows for every thread. */
    windows = (rows + most - 1) / most;
    windows = (windows + threads - 1) / threads * threads;
    window = windows ? (rows + windows - 1) / windows : most;
    return window < SPC__MIN_WINDOW ? SPC__MIN_WINDOW : (int)window;
}

/* Starts the accumulators of every row: bias, zeros in what fills up the last panel. */
static void start_rows(const struct spc__node *node, int64_t width, int64_t rows, float *acc)
{
    for (int64_t o = 0; o < width && rows; o++)
        acc[o] = node->bias && o < node->cout ? node->bias[o] : 0.0f;
    for (int64_t row = 1; row < rows; row++)
        memcpy(acc + row * width, acc, (size_t)width * sizeof(float));
}

static void sum_window(const struct conv *conv, int64_t window, int64_t rows, float *acc)
{
    const struct spc__pairs *pairs = conv->pairs;
    const struct spc__packed *packed = conv->packed;
    const int64_t *start = pairs->start + window * (pairs->offsets + 1);
    int64_t width = packed->panels * SPC__PANEL;

    start_rows(conv->node, width, rows, acc);
    for (int k = 0; k < pairs->offsets; k++)
        conv->cpu->kernels->conv(conv->in, pairs->in + start[k], pairs->out + start[k],
                                 start[k + 1] - start[k],
                                 packed->weights + k * width * conv->node->cin, conv->node->cin,
                                 packed->panels, acc);
}

static void conv_window(void *context, int64_t window, int worker)
{
    const struct conv *conv = context;
    const struct spc__node *node = conv->node;
    const struct spc__kernels *kernels = conv->cpu->kernels;
    float *acc = conv->cpu->acc + (size_t)worker * conv->cpu->acc_floats;
    int64_t first = window * conv->pairs->window, rows = conv->rows - first;
    size_t offset = (size_t)first * (size_t)node->cout * conv->element;
    struct spc__finish finish = {
        .rows = rows < conv->pairs->window ? rows : conv->pairs->window,
        .channels = node->cout,
        .stride = conv->packed->panels * SPC__PANEL,
        .residual = conv->residual ? conv->residual + offset : NULL,
        .act = node->act,
        .slope = node->act_slope,
    };

    sum_window(conv, window, finish.rows, acc);
    if (conv->element == sizeof(float))
        kernels->finish_f32(&finish, acc, (float *)(conv->out + offset));
    else
        kernels->finish_f16(&finish, acc, (uint16_t *)(conv->out + offset));
}

struct widen {
    const struct spc__cpu *cpu;
    const uint16_t *in;
    int64_t count;
};

#define WIDEN_CHUNK 65536

static void widen_chunk(void *context, int64_t task, int worker)
{
    const struct widen *widen = context;
    int64_t first = task * WIDEN_CHUNK, count = widen->count - first;

    (void)worker;
    widen->cpu->kernels->widen(widen->in + first, widen->cpu->wide + first,
                               count < WIDEN_CHUNK ? count : WIDEN_CHUNK);
}

/* The input rows as float32. A row is read once a pair, nine times and more: one conversion ahead
 * costs less than one in every tile. */
static const float *wide_input(struct spc__cpu *cpu, int value)
{
    struct widen widen = {cpu, cpu->values[value], spc__cpu_count(cpu, value)};

    if (cpu->plan->values[value].dtype == SPC_DTYPE_F32)
        return cpu->values[value];
    spc__pool_run(cpu->pool, (widen.count + WIDEN_CHUNK - 1) / WIDEN_CHUNK, widen_chunk, &widen);
    return cpu->wide;
}

void spc__cpu_run_conv(struct spc__cpu *cpu, const struct spc__node *node,
                       const struct spc__packed *packed)
{
    const struct spc__graph *graph = &cpu->plan->graph;
    struct conv conv = {
        .cpu = cpu,
        .node = node,
        .packed = packed,
        .pairs = &cpu->rulebooks[node->rulebook].pairs,
        .in = wide_input(cpu, node->in[0]),
        .residual = node->residual >= 0 ? cpu->values[node->residual] : NULL,
        .out = cpu->values[node->out],
        .element = spc_dtype_size(cpu->plan->values[node->out].dtype),
        .rows = cpu->levels[graph->values[node->out].level].sites.count,
    };

    spc__pool_run(cpu->pool, conv.pairs->num_windows, conv_window, &conv);
}
