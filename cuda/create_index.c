/* SPDX-License-Identifier: MIT */
/* The index of an instance: memory for the levels and rulebooks that are used, and its steps. */
#include "cuda/instance.h"

#include "base/error.h"
#include "cuda/sites.h"
#include "graph/uses.h"

bool spc__cuda_is_fast(const struct spc__cuda *cuda, const struct spc__node *node)
{
    const struct spc__cuda_rulebook *rulebook = &cuda->rulebooks[node->rulebook];

    return cuda->plan->precision == SPC_PRECISION_FP16 && rulebook->blobs_fit &&
           spc_cuda_conv_fast_supported(node->cin, node->cout, spc__cuda_in_stride(cuda, node),
                                        &rulebook->blobs);
}

int32_t spc__cuda_in_stride(const struct spc__cuda *cuda, const struct spc__node *node)
{
    bool padded = node->in[0] == 0 && cuda->plan->precision == SPC_PRECISION_FP16;

    return padded ? (int32_t)spc__round_up((size_t)node->cin, SPC__CUDA_PAD) : node->cin;
}

/* ---- what is used ---- */

/* Marks the levels that are used, what the convolutions want of their rulebooks, and in which
 * form the input is read. */
static void mark_used(struct spc__cuda *cuda)
{
    const struct spc__graph *graph = &cuda->plan->graph;

    for (int i = 0; i < graph->num_levels; i++)
        cuda->levels[i].used = spc__level_is_used(graph, i);
    cuda->plain_input = cuda->plan->values[0].output >= 0;
    for (int i = 0; i < graph->num_nodes; i++) {
        const struct spc__node *node = &graph->nodes[i];
        bool conv = node->op == SPC__OP_CONV, fast = conv && spc__cuda_is_fast(cuda, node);

        if (fast)
            cuda->rulebooks[node->rulebook].blobs_used = true;
        else if (conv)
            cuda->rulebooks[node->rulebook].table_used = true;
        if (node->in[0] == 0 && fast)
            cuda->padded_stride = spc__cuda_in_stride(cuda, node);
        if ((node->in[0] == 0 && !fast) || (node->op == SPC__OP_ADD && node->in[1] == 0) ||
            (conv && node->residual == 0))
            cuda->plain_input = true;
    }
}

/* ---- memory ---- */

static enum spc_status make_level(struct spc__cuda *cuda, int i, struct spc_error *err)
{
    const struct spc__level *level = &cuda->plan->graph.levels[i];
    enum spc_status status = spc__cuda_take_sites(&cuda->memory, &cuda->sites[cuda->num_slots],
                                                  level->grid, level->bound, err);

    if (!status)
        cuda->levels[i].slot = cuda->num_slots++;
    return status;
}

/* A level comes after the one that it is made from, in the graph and here. */
static enum spc_status make_levels(struct spc__cuda *cuda, struct spc_error *err)
{
    const struct spc__graph *graph = &cuda->plan->graph;

    for (int i = 0; i < graph->num_levels; i++) {
        enum spc_status status;

        if (!cuda->levels[i].used)
            continue;
        if (cuda->num_slots == SPC_CUDA_MAX_LEVELS)
            return spc__fail(err, SPC_ERR_UNSUPPORTED,
                             "backend \"cuda\" takes networks of at most %d site levels; use "
                             "backend \"cpu\"", SPC_CUDA_MAX_LEVELS);
        status = make_level(cuda, i, err);
        if (status)
            return status;
        if (i) {
            const struct spc__rulebook *rulebook = &graph->rulebooks[graph->levels[i].rulebook];

            cuda->makers[cuda->num_slots - 1] = (struct spc_cuda_maker){
                .in_level = cuda->levels[rulebook->in_level].slot,
                .geometry = cuda->rulebooks[graph->levels[i].rulebook].geometry,
            };
        }
    }
    return SPC_OK;
}

static void set_geometry(struct spc__cuda *cuda, int i)
{
    const struct spc__rulebook *rulebook = &cuda->plan->graph.rulebooks[i];
    struct spc__cuda_rulebook *mine = &cuda->rulebooks[i];

    mine->geometry.subm = rulebook->kind == SPC__SUBM;
    mine->geometry.inverse = rulebook->kind == SPC__INVERSE;
    for (int a = 0; a < 3; a++) {
        mine->geometry.kernel[a] = rulebook->kernel[a];
        mine->geometry.stride[a] = rulebook->stride[a];
        mine->geometry.padding[a] = rulebook->padding[a];
        mine->geometry.dilation[a] = rulebook->dilation[a];
    }
    mine->blobs_fit = spc_cuda_blobs_shape(
        &mine->blobs, rulebook->kernel, rulebook->dilation, mine->geometry.inverse,
        mine->geometry.subm ? SPC_CUDA_HALO_SUBM : SPC_CUDA_HALO_STRIDED);
}

static enum spc_status make_rulebook(struct spc__cuda *cuda, int i, struct spc_error *err)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    const struct spc__rulebook *rulebook = &graph->rulebooks[i];
    struct spc__cuda_rulebook *mine = &cuda->rulebooks[i];
    int64_t bound = graph->levels[rulebook->out_level].bound;

    if (mine->table_used) {
        mine->nbr_stride = bound;
        mine->nbr = spc__cuda_take(&cuda->memory,
                                   (size_t)spc__rulebook_offsets(rulebook) * (size_t)bound,
                                   sizeof(*mine->nbr), "a neighbour table", err);
        if (!mine->nbr)
            return SPC_ERR_MEMORY;
    }
    if (mine->blobs_used) {
        mine->blobs.blobs =
            spc__cuda_take(&cuda->memory, (size_t)spc_cuda_blob_tiles(bound),
                           (size_t)mine->blobs.stride, "the tiles of a rulebook", err);
        if (!mine->blobs.blobs)
            return SPC_ERR_MEMORY;
    }
    return SPC_OK;
}

/* ---- stages ---- */

static int stage_of_slot(const struct spc__cuda *cuda, int slot)
{
    int stage = 0;

    while (slot >= cuda->first_slot[stage + 1])
        stage++;
    return stage;
}

static int stage_of_rulebook(const struct spc__cuda *cuda, const struct spc__rulebook *rulebook)
{
    int in = cuda->levels[rulebook->in_level].slot, out = cuda->levels[rulebook->out_level].slot;

    return stage_of_slot(cuda, in > out ? in : out);
}

/* The last level that a node needs. */
static int last_slot(const struct spc__cuda *cuda, const struct spc__node *node)
{
    const struct spc__value *values = cuda->plan->graph.values;
    int last = 0, used[] = {node->in[0], node->in[node->op == SPC__OP_ADD], node->out};

    for (int i = 0; i < 3; i++)
        if (cuda->levels[values[used[i]].level].slot > last)
            last = cuda->levels[values[used[i]].level].slot;
    return last;
}

int spc__cuda_stage_of_node(const struct spc__cuda *cuda, const struct spc__node *node)
{
    return stage_of_slot(cuda, last_slot(cuda, node));
}

static void set_stages(struct spc__cuda *cuda)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    int last = 0;

    for (int i = 0; i < graph->num_nodes && !last; i++)
        last = last_slot(cuda, &graph->nodes[i]);
    cuda->first_slot[1] = 1;
    cuda->first_slot[2] = last + 1;
    cuda->first_slot[3] = cuda->num_slots;
}

static void add_jobs(struct spc__cuda *cuda)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    int jobs = 0;

    for (int stage = 0; stage < SPC__CUDA_STAGES; stage++) {
        cuda->first_job[stage] = jobs;
        for (int i = 0; i < graph->num_rulebooks; i++) {
            const struct spc__rulebook *rulebook = &graph->rulebooks[i];
            struct spc__cuda_rulebook *mine = &cuda->rulebooks[i];

            if (mine->blobs_used && stage_of_rulebook(cuda, rulebook) == stage)
                cuda->jobs[jobs++] = (struct spc_cuda_blob_job){
                    .out = *spc__cuda_sites(cuda, rulebook->out_level),
                    .in = *spc__cuda_sites(cuda, rulebook->in_level),
                    .geometry = mine->geometry,
                    .blobs = &mine->blobs,
                };
        }
    }
    cuda->first_job[SPC__CUDA_STAGES] = jobs;
}

enum spc_status spc__cuda_make_index(struct spc__cuda *cuda, struct spc_error *err)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    enum spc_status status;

    for (int i = 0; i < graph->num_rulebooks; i++)
        set_geometry(cuda, i);
    mark_used(cuda);
    status = make_levels(cuda, err);
    for (int i = 0; i < graph->num_rulebooks && !status; i++)
        status = make_rulebook(cuda, i, err);
    if (status)
        return status;
    set_stages(cuda);
    add_jobs(cuda);
    return SPC_OK;
}

/* ---- steps ---- */

/* Sites of a stage's levels but the input's, tiles and tables of its rulebooks. */
static void add_stage(struct spc__cuda *cuda, int stage)
{
    static const char *const names[] = {"the input", "the first strided convolutions",
                                        "other convolutions"};
    const struct spc__graph *graph = &cuda->plan->graph;

    if (stage && cuda->first_slot[stage + 1] > cuda->first_slot[stage])
        spc__cuda_add_step(cuda, SPC__CUDA_STEP_STRIDED, stage, "index", "sites of ",
                           names[stage]);
    if (cuda->first_job[stage + 1] > cuda->first_job[stage])
        spc__cuda_add_step(cuda, SPC__CUDA_STEP_BLOBS, stage, "index", "tiles of ",
                           names[stage]);
    for (int i = 0; i < graph->num_rulebooks; i++)
        if (cuda->rulebooks[i].table_used &&
            stage_of_rulebook(cuda, &graph->rulebooks[i]) == stage)
            spc__cuda_add_step(cuda, SPC__CUDA_STEP_TABLE, i, "index", "neighbours of ",
                               spc__rulebook_user(graph, i));
    cuda->stage_end[stage] = cuda->num_steps - 1;
}

/* The steps from `first` on run beside the input's: sites of other levels from the marks on, all
 * else behind the input's whole index, which comes first. A graph that forks behind its first
 * kernel starts its second about 3 us sooner than one that forks later. */
static void set_aside(struct spc__cuda *cuda, int first)
{
    int end = cuda->stage_end[0], i = first;

    for (; i < cuda->num_steps && cuda->steps[i].kind == SPC__CUDA_STEP_STRIDED; i++)
        cuda->steps[i].waits = i == first ? 0 : -1;
    if (i < cuda->num_steps)
        cuda->steps[i].waits = end;
    cuda->steps[0].signals = i > first;
    cuda->steps[end].signals = true;
    for (i = first; i < cuda->num_steps; i++)
        cuda->steps[i].aside = cuda->use_aside;
}

void spc__cuda_add_index_steps(struct spc__cuda *cuda)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    const char *input = graph->values[0].name;

    spc__cuda_add_step(cuda, SPC__CUDA_STEP_MARK, 0, "index", "sites of ", input);
    spc__cuda_add_step(cuda, SPC__CUDA_STEP_RANK, 0, "index", "rows of ", input);
    if (cuda->rows_used || cuda->padded)
        spc__cuda_add_step(cuda, SPC__CUDA_STEP_PLACE, 0, "input", "rows in order of ", input);
    add_stage(cuda, 0);
    cuda->last_reader = cuda->stage_end[0];
    add_stage(cuda, 1);
    add_stage(cuda, 2);
    for (int i = 0; i < graph->num_levels; i++)
        if (cuda->levels[i].indices)
            spc__cuda_add_step(cuda, SPC__CUDA_STEP_ROWS, i, "index", "rows of ",
                               spc__level_user(graph, i));
    spc__cuda_add_step(cuda, SPC__CUDA_STEP_REPORT, 0, "index", "report of ", input);
    set_aside(cuda, cuda->last_reader + 1);
}
