/* SPDX-License-Identifier: MIT */
/* Steps that go over whole rows: addition and activation, input, outputs. */
#include "cpu/instance.h"

#include <string.h>

#define CHUNK 16384 /* elements or, for input and output, values of rows of a task */

int64_t spc__cpu_count(const struct spc__cpu *cpu, int value)
{
    const struct spc__value *v = &cpu->plan->graph.values[value];
    int64_t count = 1;

    if (v->kind == SPC__SPARSE)
        return cpu->levels[v->level].sites.count * v->channels;
    for (int i = 0; i < v->rank; i++)
        count *= v->dims[i];
    return count;
}

struct add {
    const struct spc__cpu *cpu;
    const struct spc__node *node;
    int64_t count;
};

static void add_chunk(void *context, int64_t task, int worker)
{
    const struct add *add = context;
    const struct spc__node *node = add->node;
    void *const *values = add->cpu->values;
    size_t element = spc_dtype_size(add->cpu->plan->values[node->out].dtype);
    size_t offset = (size_t)task * CHUNK * element;
    int64_t left = add->count - task * CHUNK;
    const char *in = (const char *)values[node->in[0]] + offset;
    char *out = (char *)values[node->out] + offset;
    struct spc__finish finish = {
        .rows = 1,
        .channels = left < CHUNK ? left : CHUNK,
        .residual = node->op == SPC__OP_ADD ? (const char *)values[node->in[1]] + offset : NULL,
        .act = node->act,
        .slope = node->act_slope,
    };

    (void)worker;
    if (element == sizeof(float))
        add->cpu->kernels->add_f32(&finish, (const float *)in, (float *)out);
    else
        add->cpu->kernels->add_f16(&finish, (const uint16_t *)in, (uint16_t *)out);
}

void spc__cpu_run_add(struct spc__cpu *cpu, const struct spc__node *node)
{
    struct add add = {cpu, node, spc__cpu_count(cpu, node->out)};

    spc__pool_run(cpu->pool, (add.count + CHUNK - 1) / CHUNK, add_chunk, &add);
}

/* Rows from one place, type and order to another. */
struct move {
    const struct spc__kernels *kernels;
    const char *in;
    char *out;
    enum spc_dtype in_type, out_type;
    int64_t rows, channels, chunk; /* chunk: rows of a task */
    const int32_t *in_row, *out_row; /* row of each row moved; NULL: its own number */
};

static void convert(const struct move *move, const char *in, char *out, int64_t count)
{
    if (move->in_type == move->out_type)
        memcpy(out, in, (size_t)count * spc_dtype_size(move->in_type));
    else if (move->in_type == SPC_DTYPE_F16)
        move->kernels->widen((const uint16_t *)in, (float *)out, count);
    else
        move->kernels->narrow((const float *)in, (uint16_t *)out, count);
}

static void move_chunk(void *context, int64_t task, int worker)
{
    const struct move *move = context;
    size_t in_bytes = (size_t)move->channels * spc_dtype_size(move->in_type);
    size_t out_bytes = (size_t)move->channels * spc_dtype_size(move->out_type);
    int64_t first = task * move->chunk, last = first + move->chunk;

    (void)worker;
    last = last < move->rows ? last : move->rows;
    if (!move->in_row && !move->out_row) {
        convert(move, move->in + (size_t)first * in_bytes, move->out + (size_t)first * out_bytes,
                (last - first) * move->channels);
        return;
    }
    for (int64_t row = first; row < last; row++) {
        int64_t from = move->in_row ? move->in_row[row] : row;
        int64_t to = move->out_row ? move->out_row[row] : row;

        convert(move, move->in + (size_t)from * in_bytes, move->out + (size_t)to * out_bytes,
                move->channels);
    }
}

static void run_move(struct spc__cpu *cpu, struct move *move)
{
    move->kernels = cpu->kernels;
    move->chunk = CHUNK / move->channels + 1;
    spc__pool_run(cpu->pool, (move->rows + move->chunk - 1) / move->chunk, move_chunk, move);
}

void spc__cpu_run_input(struct spc__cpu *cpu)
{
    struct move move = {
        .in = cpu->voxels->features,
        .out = cpu->values[0],
        .in_type = cpu->voxels->feature_type,
        .out_type = cpu->plan->values[0].dtype,
        .rows = cpu->voxels->num_voxels,
        .channels = cpu->plan->graph.values[0].channels,
        .out_row = cpu->row_of_input,
    };

    run_move(cpu, &move);
}

void spc__cpu_run_output(struct spc__cpu *cpu, int output)
{
    int value = cpu->plan->graph.outputs[output];
    const struct spc__value *v = &cpu->plan->graph.values[value];
    int64_t channels = v->kind == SPC__SPARSE ? v->channels : 1;
    struct move move = {
        .in = cpu->values[value],
        .out = cpu->outputs[output].target,
        .in_type = cpu->plan->values[value].dtype,
        .out_type = cpu->plan->output_types[output],
        .rows = spc__cpu_count(cpu, value) / channels,
        .channels = channels,
        .in_row = cpu->outputs[output].input_order ? cpu->row_of_input : NULL,
    };

    run_move(cpu, &move);
}
