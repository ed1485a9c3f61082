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

static bool within_input(const struct spc__rulebook *rulebook)
{
    return !rulebook->in_level && !rulebook->out_level;
}

/* The blobs to make of rulebooks within level 0, or of all others. */
static void add_jobs(struct spc__cuda *cuda, bool first)
{
    const struct spc__graph *graph = &cuda->plan->graph;

    for (int i = 0; i < graph->num_rulebooks; i++) {
        const struct spc__rulebook *rulebook = &graph->rulebooks[i];
        struct spc__cuda_rulebook *mine = &cuda->rulebooks[i];

        if (mine->blobs_used && within_input(rulebook) == first)
            cuda->jobs[cuda->num_jobs++] = (struct spc_cuda_blob_job){
                .out = *spc__cuda_sites(cuda, rulebook->out_level),
                .in = *spc__cuda_sites(cuda, rulebook->in_level),
                .geometry = mine->geometry,
                .blobs = &mine->blobs,
            };
    }
}

/* The index assumes that a frame finds what the last one left. */
static enum spc_status reset(struct spc__cuda *cuda, struct spc_error *err)
{
    cudaError_t code = spc_cuda_index_reset(cuda->sites, cuda->num_slots, cuda->stream);

    if (!code)
        code = cudaStreamSynchronize(cuda->stream);
    return code ? spc__cuda_fail(err, code, "clearing the index") : SPC_OK;
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
    add_jobs(cuda, true);
    cuda->num_first_jobs = cuda->num_jobs;
    add_jobs(cuda, false);
    return reset(cuda, err);
}

/* ---- steps ---- */

static void add_tables(struct spc__cuda *cuda, bool first)
{
    const struct spc__graph *graph = &cuda->plan->graph;

    if (first ? cuda->num_first_jobs : cuda->num_jobs - cuda->num_first_jobs)
        spc__cuda_add_step(cuda, SPC__CUDA_STEP_BLOBS, !first, "index", "tiles of ",
                           first ? "the input's rulebooks" : "all other rulebooks");
    for (int i = 0; i < graph->num_rulebooks; i++)
        if (cuda->rulebooks[i].table_used && within_input(&graph->rulebooks[i]) == first)
            spc__cuda_add_step(cuda, SPC__CUDA_STEP_TABLE, i, "index", "neighbours of ",
                               spc__rulebook_user(graph, i));
}

void spc__cuda_add_index_steps(struct spc__cuda *cuda)
{
    const struct spc__graph *graph = &cuda->plan->graph;
    const char *input = graph->values[0].name;
    int aside;

    spc__cuda_add_step(cuda, SPC__CUDA_STEP_SITES, 0, "index", "sites of ", input);
    add_tables(cuda, true);
    aside = cuda->num_steps;
    if (cuda->num_slots > 1)
        spc__cuda_add_step(cuda, SPC__CUDA_STEP_STRIDED, 0, "index", "sites of ",
                           "strided convolutions");
    add_tables(cuda, false);
    for (int i = 0; i < graph->num_levels; i++)
        if (cuda->levels[i].indices)
            spc__cuda_add_step(cuda, SPC__CUDA_STEP_ROWS, i, "index", "rows of ",
                               spc__level_user(graph, i));
    spc__cuda_add_step(cuda, SPC__CUDA_STEP_REPORT, 0, "index", "report of ", input);
    for (int i = aside; i < cuda->num_steps; i++)
        cuda->steps[i].aside = cuda->use_aside;
}

bool spc__cuda_needs_levels(const struct spc__cuda *cuda, const struct spc__node *node)
{
    const struct spc__value *values = cuda->plan->graph.values;

    return values[node->in[0]].level || values[node->out].level ||
           (node->op == SPC__OP_ADD && values[node->in[1]].level) ||
           (node->op == SPC__OP_CONV &&
            !within_input(&cuda->plan->graph.rulebooks[node->rulebook]));
}
