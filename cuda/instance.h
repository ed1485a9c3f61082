/* SPDX-License-Identifier: MIT */
/*
 * An instance of the CUDA backend: a plan with its memory, in one context of a device.
 *
 * A frame is a list of steps, fixed when the instance is made; each launches kernels on a stream.
 * They are recorded as a CUDA graph then, which submit() replays with a frame's pointers; the
 * number of voxels is an argument of its first node, or read from memory. Nothing waits for the
 * device until wait(), which then reads what went wrong and how many sites there are from a report
 * in host memory that the frame wrote.
 */
#ifndef SPC_CUDA_INSTANCE_H
#define SPC_CUDA_INSTANCE_H

#include "backend.h"
#include "base/mem.h"
#include "cuda/blob.h"
#include "cuda/conv.h"
#include "cuda/device.h"
#include "cuda/index.h"
#include "cuda/kernels.h"

/* Recorded frames that are kept with the pointers of a frame, the last used ones: enough for four
 * buffers in front and four behind, in every combination. Others cost 16 to 80 us more. */
#define SPC__CUDA_GRAPHS 16
/* Channels of an input row are padded to a multiple of this for the fast convolution. */
#define SPC__CUDA_PAD 16

enum spc__cuda_step_kind {
    SPC__CUDA_STEP_MARK,    /* sites of level 0, */
    SPC__CUDA_STEP_RANK,    /* their rows, */
    SPC__CUDA_STEP_PLACE,   /* and the input's rows among them */
    SPC__CUDA_STEP_STRIDED, /* index: stage; sites of its levels */
    SPC__CUDA_STEP_BLOBS,   /* index: stage; of its rulebooks */
    SPC__CUDA_STEP_TABLE,   /* index: rulebook */
    SPC__CUDA_STEP_REPORT,
    SPC__CUDA_STEP_INPUT,   /* as the plan has it; what fast convolutions read is in place */
    SPC__CUDA_STEP_NODE,    /* index: node */
    SPC__CUDA_STEP_OUTPUT,  /* index: output that is not written where it is computed */
    SPC__CUDA_STEP_ROWS,    /* index: level whose index rows an output needs */
};

/* Parts of the index, which nodes wait for one by one: level 0, the levels that the first node
 * beyond it needs, and all others. */
#define SPC__CUDA_STAGES 3

struct spc__cuda_step {
    enum spc__cuda_step_kind kind;
    int index;
    bool aside;      /* runs beside others, on a stream of its own */
    int waits;       /* step on the other stream that must have ended; -1: none */
    bool signals;    /* some step waits for it */
    bool unsettled;  /* a convolution that comes right behind its blobs */
    cudaGraphNode_t node, fresh; /* where it sees the caller's memory: its kernel in the recorded
                                    frame, and when that step alone is recorded anew */
    cudaEvent_t end; /* recorded behind the step if it signals, or with profile */
    struct spc_step_profile profile;
};

struct spc__cuda_level {
    bool used;
    int slot;              /* its place in `sites` and in the report */
    int32_t *indices;      /* [bound][4] where a sparse output is on this level; else NULL */
    int32_t *host_indices; /* the same on the host */
};

struct spc__cuda_rulebook {
    struct spc_cuda_geometry geometry;
    bool blobs_fit;              /* the fast convolution takes its kernel */
    bool blobs_used, table_used; /* by some convolution */
    struct spc_cuda_blobs blobs;
    int32_t *nbr; /* [offsets][nbr_stride]: input row of each output row, -1: none */
    int64_t nbr_stride;
};

/* Weights or a bias in one context, shared between instances. */
struct spc__cuda_constant {
    struct spc__cuda_context context;
    struct spc__cuda_memory memory;
    void *data; /* weights as the convolution reads them: see kernels.h and conv.h; a bias as
                   float32 [cout] */
};

struct spc__cuda_output {
    bool direct;      /* computed where the caller gets it */
    bool input_order; /* rows are put back into the input's order */
    bool downloaded;  /* the frame itself copies it to the host */
    size_t bytes;     /* most there can be */
    void *own;        /* device memory, for a caller that brings none */
    void *own_host;   /* the same on the host */
    void *store;      /* the value's memory where it is not direct and the value is its own */
    struct spc_output_info info;
};

/* What a recorded frame depends on. */
struct spc__cuda_binding {
    const void *features;
    const int32_t *indices;
    const int32_t *device_count;
    enum spc_dtype feature_type;
};

struct spc__cuda_graph {
    struct spc__cuda_binding binding;
    void **targets; /* [graph.num_outputs] device memory that each output goes to */
    cudaGraphExec_t exec; /* NULL: there was no memory for more */
    int32_t num_voxels;   /* that its first node holds; -1: not known */
    uint64_t last_replay; /* its number; 0: it has no frame's pointers */
};

struct spc__cuda {
    const struct spc__plan *plan;
    struct spc__cuda_context context;
    int major, minor;
    char device_name[128];
    struct spc__log log;
    bool profile, use_graph, use_aside;
    cudaStream_t stream; /* of frames that come from host memory, and for recording */
    cudaStream_t aside;  /* of steps that run beside others */
    cudaEvent_t begin, end, cleared;
    struct spc__cuda_memory memory;
    size_t shared_bytes;
    struct spc__cuda_level *levels;
    struct spc__cuda_rulebook *rulebooks;
    struct spc_cuda_sites sites[SPC_CUDA_MAX_LEVELS]; /* of the levels that are used */
    struct spc_cuda_maker makers[SPC_CUDA_MAX_LEVELS];
    int num_slots;
    int first_slot[SPC__CUDA_STAGES + 1]; /* of each stage */
    struct spc_cuda_blob_job *jobs;       /* [num_rulebooks], stage by stage */
    int first_job[SPC__CUDA_STAGES + 1];
    int stage_end[SPC__CUDA_STAGES]; /* the last step of each stage */
    enum spc_cuda_conv_way *ways;              /* [num_nodes] of fast convolutions */
    const struct spc__cuda_constant **weights; /* [num_nodes], NULL but for convolutions, which */
    const struct spc__cuda_constant **biases;  /* always have one */
    struct spc__cuda_output *outputs;
    struct spc__cuda_step *steps;
    int num_steps;
    int last_reader; /* the last step, on the main stream, that reads what the clearing clears */
    bool unclear;    /* the index is not as a frame leaves it */
    char *arena;
    bool rows_used;        /* by some step: row_of_input */
    bool plain_input;      /* the input is read as the plan has it, */
    int32_t padded_stride; /* and by fast convolutions as rows of so many channels; 0: not */
    void *padded;          /* [max_voxels][padded_stride] */
    void **values;           /* [num_values] memory of each value, of this frame */
    void **targets;          /* [num_outputs] of this frame */
    int32_t *row_of_input;   /* [max_voxels] */
    void *features;          /* frames from host memory are copied here, through pinned memory */
    int32_t *indices;
    void *host_features;
    int32_t *host_indices;
    struct spc_cuda_report *report; /* the frame writes it on the device, */
    struct spc_cuda_report *host_report; /* and copies it here, to pinned memory */
    size_t report_bytes;
    uint64_t *pairs, *host_pairs; /* with profile: [num_rulebooks], of this frame */
    struct spc__cuda_binding binding;   /* of this frame */
    cudaGraph_t recorded; /* a frame; NULL: frames are launched step by step */
    bool recording;       /* that frame */
    struct spc__cuda_graph graphs[SPC__CUDA_GRAPHS];
    uint64_t replays;
    struct spc_voxels voxels; /* of the frame in flight */
    struct spc_output *frame_outputs;
    int frame_num_outputs;
};

/* weights.c: finds or makes weights and bias of convolution `node`. */
enum spc_status spc__cuda_get_weights(struct spc__shared *shared, struct spc__cuda *cuda, int node,
                                      struct spc_error *err);

/* create.c */
enum spc_status spc__cuda_create(const struct spc__plan *plan, struct spc__shared *shared,
                                 const struct spc__backend_options *options, void **instance,
                                 struct spc_error *err);
void spc__cuda_destroy(void *instance);
/* Empty frames, one of each feature type: kernels are loaded and the frame recorded before the
 * first that counts, and what cannot run on this device shows here. */
enum spc_status spc__cuda_warm_up(struct spc__cuda *cuda, struct spc_error *err);

struct spc_step_profile *spc__cuda_add_step(struct spc__cuda *cuda, enum spc__cuda_step_kind kind,
                                            int index, const char *op, const char *what,
                                            const char *name);

/* The step that was added last starts when `step`, on the other stream, has ended. */
void spc__cuda_wait_for(struct spc__cuda *cuda, int step);

/* create_index.c */
enum spc_status spc__cuda_make_index(struct spc__cuda *cuda, struct spc_error *err);
void spc__cuda_add_index_steps(struct spc__cuda *cuda);
/* The last stage of the index that a node needs. */
int spc__cuda_stage_of_node(const struct spc__cuda *cuda, const struct spc__node *node);
/* Whether a convolution takes the fast way, and the channels of a row of its input there. */
bool spc__cuda_is_fast(const struct spc__cuda *cuda, const struct spc__node *node);
int32_t spc__cuda_in_stride(const struct spc__cuda *cuda, const struct spc__node *node);
static inline const struct spc_cuda_sites *spc__cuda_sites(const struct spc__cuda *cuda, int level)
{
    return &cuda->sites[cuda->levels[level].slot];
}

/* steps.c: this frame's input, and the launch of one step. */
struct spc_cuda_input spc__cuda_input(const struct spc__cuda *cuda);
cudaError_t spc__cuda_launch(struct spc__cuda *cuda, const struct spc__cuda_step *step,
                             cudaStream_t stream);

/* frame.c */
enum spc_status spc__cuda_submit(void *instance, const struct spc_voxels *voxels,
                                 struct spc_output *outputs, int num_outputs,
                                 struct spc_error *err);
/* Binds the memory of a frame, and copies it to the device where it is not there. */
cudaError_t spc__cuda_begin(struct spc__cuda *cuda, const struct spc_voxels *voxels,
                            struct spc_output *outputs, int num_outputs);
/* Around a frame's steps: makes the index as a frame expects it, and as the next one does. */
cudaError_t spc__cuda_open_index(struct spc__cuda *cuda, cudaStream_t stream);
cudaError_t spc__cuda_close_index(struct spc__cuda *cuda, cudaStream_t stream);
cudaError_t spc__cuda_launch_steps(struct spc__cuda *cuda, cudaStream_t stream);

/* record.c: records what `launch` puts on cuda->stream; *graph is NULL on failure. */
typedef cudaError_t (*spc__cuda_launches)(struct spc__cuda *cuda, void *context);
cudaError_t spc__cuda_record(struct spc__cuda *cuda, spc__cuda_launches launch, void *context,
                             cudaGraph_t *graph);
/* Records the frame that was begun, for this and all others; forgetting it undoes that. */
cudaError_t spc__cuda_record_frame(struct spc__cuda *cuda);
void spc__cuda_forget_graphs(struct spc__cuda *cuda);
/* Launches the recorded frame, with the pointers of the one that was begun. */
cudaError_t spc__cuda_replay(struct spc__cuda *cuda, cudaStream_t stream);
/* Launches a step, and knows its node again if the frame is being recorded. */
cudaError_t spc__cuda_launch_or_record(struct spc__cuda *cuda, struct spc__cuda_step *step,
                                       cudaStream_t stream);

/* tune.c */
enum spc_status spc__cuda_tune(void *instance, const struct spc_voxels *voxels,
                               struct spc__tuning *tuning, struct spc_error *err);
enum spc_status spc__cuda_choose(void *instance, const struct spc__tuning *tuning,
                                 struct spc_error *err);

/* wait.c */
enum spc_status spc__cuda_wait(void *instance, struct spc_error *err);

#endif
