/* SPDX-License-Identifier: MIT */
/*
 * spc.h - the spc engine: inference of 3D sparse-convolution networks.
 *
 * This is the engine's only public header. A program
 *
 *   1. loads a model                 spc_model_load_file()
 *   2. makes a session of it         spc_session_create()
 *   3. runs frames through it        spc_session_run()
 *   4. frees both                    spc_session_free(), spc_model_free()
 *
 *     struct spc_error err;
 *     struct spc_model *model = NULL;
 *     struct spc_session *session = NULL;
 *     struct spc_session_options opts;
 *     struct spc_output out = {0};
 *
 *     spc_session_options_default(&opts);
 *     if (spc_model_load_file("centerpoint.onnx", NULL, &model, &err) ||
 *         spc_session_create(model, &opts, &session, &err) ||
 *         spc_session_run(session, &voxels, &out, 1, &err))
 *         fprintf(stderr, "%s\n", err.message);
 *     else
 *         use(out.data, out.dims, out.rank);
 *     spc_session_free(&session);
 *     spc_model_free(&model);
 *
 * Rules that hold everywhere, unless a function says otherwise:
 *
 * - Status: a function that can fail returns enum spc_status; 0 (SPC_OK) is success. The last
 *   parameter `err` may be NULL; otherwise a failure puts the same status and one message there,
 *   which says what, where and what to do. Success leaves it as it is. Outputs are untouched on
 *   failure.
 * - The library never exits, aborts, prints, or keeps global state. What it has to say beside
 *   errors goes to the log callback of the object concerned.
 * - Ownership: option structs, strings and arrays that are passed in need to live only until the
 *   function returns. `*_free` functions take the address of the pointer, accept NULL at both
 *   levels, and leave NULL behind.
 * - Thread-safety: functions on distinct objects may run at the same time. A `const` object may be
 *   used from many threads. A session or voxelizer belongs to one thread at a time.
 * - Pointers must not be NULL unless the function or the struct says that they may be.
 * - Structs named `*_options` grow at their end only: fill them with their `_default` function and
 *   they keep working with later versions of the library. Other structs have a fixed size; those
 *   that may learn more have `reserved` words for it. Zero such a struct before you fill it:
 *   `struct spc_voxels voxels = {...}` does. What the library fills, it zeroes itself.
 * - Shapes are written outermost first, `[N][C]`; arrays are dense and row-major. Axes are called
 *   z, y, x. Lengths are metres; the frame is x front, y left, z up.
 */
#ifndef SPC_SPC_H
#define SPC_SPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SPC_API __attribute__((visibility("default")))
#else
#define SPC_API
#endif

#define SPC_VERSION_MAJOR 0
#define SPC_VERSION_MINOR 1
#define SPC_VERSION_MICRO 0

/* Version of the library that is linked, e.g. "0.1.0". Thread-safety: any thread. */
SPC_API const char *spc_version(void);

/* ------------------------------------------------------------------ status and errors -------- */

/* X(code, value, text): every status, in one place. */
#define SPC_STATUS_LIST(X)                                                                         \
    X(OK, 0, "success")                                                                            \
    X(ERR_ARGUMENT, 1, "invalid argument")                                                         \
    X(ERR_MEMORY, 2, "out of memory")                                                              \
    X(ERR_IO, 3, "file cannot be read or written")                                                 \
    X(ERR_FORMAT, 4, "malformed file")                                                             \
    X(ERR_MODEL, 5, "model is inconsistent")                                                       \
    X(ERR_UNSUPPORTED, 6, "not supported")                                                         \
    X(ERR_INPUT, 7, "invalid input frame")                                                         \
    X(ERR_CAPACITY, 8, "a planned bound is exceeded")                                              \
    X(ERR_BACKEND, 9, "backend is not available")                                                  \
    X(ERR_DEVICE, 10, "device failure")

enum spc_status {
#define SPC_STATUS_ENUM(code, value, text) SPC_##code = value,
    SPC_STATUS_LIST(SPC_STATUS_ENUM)
#undef SPC_STATUS_ENUM
};

/* "SPC_ERR_CAPACITY" and "a planned bound is exceeded"; never NULL. Thread-safety: any thread. */
SPC_API const char *spc_status_name(enum spc_status status);
SPC_API const char *spc_status_text(enum spc_status status);

/* Filled by the callee on failure; `message` is always terminated. */
struct spc_error {
    enum spc_status status;
    char message[508];
};

enum spc_log_level {
    SPC_LOG_ERROR,
    SPC_LOG_WARNING,
    SPC_LOG_INFO,
    SPC_LOG_DEBUG,
};

/* Receives one line without a newline. May be called from any thread that uses the object. */
typedef void (*spc_log_fn)(void *user, enum spc_log_level level, const char *message);

/* ------------------------------------------------------------------ element types ------------ */

enum spc_dtype {
    SPC_DTYPE_NONE = 0,
    SPC_DTYPE_F32,
    SPC_DTYPE_F16, /* IEEE binary16 */
    SPC_DTYPE_I8,
    SPC_DTYPE_U8,
    SPC_DTYPE_I32,
    SPC_DTYPE_U32,
    SPC_DTYPE_I64,
    SPC_DTYPE_U64,
};

/* Bytes of one element; 0 for SPC_DTYPE_NONE. Thread-safety: any thread. */
SPC_API size_t spc_dtype_size(enum spc_dtype dtype);
/* "float32", "float16", "int8", "uint8", "int32", "uint32", "int64", "uint64", "none". */
SPC_API const char *spc_dtype_name(enum spc_dtype dtype);

/* Convert `count` elements between float32 and binary16, round to nearest even; values beyond the
 * range of binary16 become infinities. Thread-safety: any thread. */
SPC_API void spc_convert_f32_to_f16(const float *src, uint16_t *dst, size_t count);
SPC_API void spc_convert_f16_to_f32(const uint16_t *src, float *dst, size_t count);

#define SPC_MAX_RANK 8

/* ------------------------------------------------------------------ arrays and files --------- */

/* A dense array in host memory, as read from or written to a file. */
struct spc_array {
    enum spc_dtype dtype;
    int rank;
    int64_t dims[SPC_MAX_RANK];
    void *data;  /* owned: release with spc_array_free() */
    size_t size; /* bytes at data */
};

/* Releases what the array owns and zeroes it. NULL is accepted. */
SPC_API void spc_array_free(struct spc_array *array);

/* Read an array from a file or from memory. Two formats are known, told apart by their first
 * bytes: `.tensor` (int32 magic 0x33ff1101, rank, type, dims, values; little endian) and `.npy`
 * (NumPy format 1.0 to 3.0, C order, little endian). A file whose header and length disagree, of
 * an unknown type, of a rank above SPC_MAX_RANK or beyond 4 GiB is refused.
 * Errors: SPC_ERR_IO, SPC_ERR_FORMAT, SPC_ERR_UNSUPPORTED, SPC_ERR_MEMORY.
 * Ownership: on success release `*array` with spc_array_free(). Thread-safety: any thread. */
SPC_API enum spc_status spc_array_read(const char *path, struct spc_array *array,
                                       struct spc_error *err);
SPC_API enum spc_status spc_array_parse(const void *data, size_t size, struct spc_array *array,
                                        struct spc_error *err);

/* Write an array; the suffix of `path` (`.tensor` or `.npy`) chooses the format. The file is
 * complete or absent: it is written beside its final name and renamed.
 * Errors: SPC_ERR_IO, SPC_ERR_UNSUPPORTED, SPC_ERR_ARGUMENT. Thread-safety: any thread. */
SPC_API enum spc_status spc_array_write(const char *path, const struct spc_array *array,
                                        struct spc_error *err);

/* Read points from a file as float32 [N][F].
 * `.npy` and `.tensor` files hold [N][F] float32 or float16. Anything else is taken as raw
 * records of `num_fields` values of `type` (SPC_DTYPE_F32 or SPC_DTYPE_F16, little endian), such
 * as KITTI's and nuScenes' `.bin`; a length that is no multiple of a record is refused.
 * For array files `num_fields` and `type` may be 0; where given, they must agree.
 * An empty raw file is a valid cloud of zero points. Errors as for spc_array_read(), and
 * SPC_ERR_ARGUMENT.
 * Thread-safety: any thread. */
SPC_API enum spc_status spc_points_read(const char *path, int num_fields, enum spc_dtype type,
                                        struct spc_array *points, struct spc_error *err);
SPC_API enum spc_status spc_points_parse(const void *data, size_t size, int num_fields,
                                         enum spc_dtype type, struct spc_array *points,
                                         struct spc_error *err);

/* ------------------------------------------------------------------ model -------------------- */

/* Order of the columns of an index row, behind the batch column. */
enum spc_index_order {
    SPC_INDEX_ORDER_AUTO = 0, /* from the model */
    SPC_INDEX_ZYX,            /* batch, z, y, x */
    SPC_INDEX_XYZ,            /* batch, x, y, z */
};

/* A loaded network. Immutable: share it between threads and sessions at will. */
struct spc_model;

struct spc_model_options {
    size_t struct_size;
    enum spc_index_order index_order; /* AUTO: from ScatterDense's format, else the smaller end */
    size_t max_file_size;             /* bytes; default 2 GiB */
    spc_log_fn log;                   /* may be NULL */
    void *log_user;
};

/* The defaults, for a struct of `size` bytes: `_default` knows how many the caller's header has,
 * whatever the library was built with. Thread-safety: any thread. */
SPC_API void spc_model_options_init(struct spc_model_options *options, size_t size);
static inline void spc_model_options_default(struct spc_model_options *options)
{
    spc_model_options_init(options, sizeof(*options));
}

/* Load an ONNX file of a sparse-convolution network.
 *
 * Operators: SparseConvolution (submanifold, strided, inverse), Add and QuantAdd, Relu,
 * ScatterDense, Transpose, Reshape. Weights in float32 or float16. Every shape and attribute is
 * checked here, so that a session never meets an inconsistent model; a message names the node.
 *
 * `options` may be NULL. Errors: SPC_ERR_IO, SPC_ERR_FORMAT (no ONNX), SPC_ERR_MODEL
 * (inconsistent), SPC_ERR_UNSUPPORTED, SPC_ERR_MEMORY.
 * Ownership: `*model` is the caller's; free it with spc_model_free() after its sessions.
 * Thread-safety: any thread. */
SPC_API enum spc_status spc_model_load_file(const char *path,
                                            const struct spc_model_options *options,
                                            struct spc_model **model, struct spc_error *err);
SPC_API enum spc_status spc_model_load_memory(const void *data, size_t size,
                                              const struct spc_model_options *options,
                                              struct spc_model **model, struct spc_error *err);
SPC_API void spc_model_free(struct spc_model **model);

#define SPC_MAX_FEATURES_TEXT 128

/* What the model expects and how its voxels were made. */
struct spc_model_info {
    enum spc_index_order index_order; /* never AUTO */
    int32_t grid_z, grid_y, grid_x;   /* cells of the input grid */
    int32_t num_features;             /* channels of an input row */
    int num_nodes;                    /* as in the file */
    int num_outputs;
    int64_t num_parameters; /* weights and biases */
    /* From the file's metadata_props; a flag says whether it was there. */
    bool has_voxel_size, has_range, has_max_points_per_voxel;
    float voxel_size[3];          /* x, y, z, metres ("spc.voxel_size") */
    float range[6];               /* x, y, z minimum, then maximum, metres ("spc.range") */
    int32_t max_points_per_voxel; /* "spc.max_points_per_voxel" */
    char features[SPC_MAX_FEATURES_TEXT]; /* "x,y,z,intensity,time" ("spc.features") or "" */
    uint64_t reserved[8];
};

/* Thread-safety: any thread. */
SPC_API void spc_model_get_info(const struct spc_model *model, struct spc_model_info *info);

enum spc_output_kind {
    SPC_OUTPUT_DENSE,
    SPC_OUTPUT_SPARSE,
};

/* Memory layout of a dense output. */
enum spc_layout {
    SPC_LAYOUT_LINEAR, /* row-major over dims, as the model declares them */
    SPC_LAYOUT_NCHW32, /* [1][C*Z/32][Y][X][32]; channel index c*Z+z */
    SPC_LAYOUT_NHWZC,  /* [1][Y][X][Z][C] */
};

/* Which spatial axes the last two dims of a 4-D dense output are. */
enum spc_bev_axes {
    SPC_BEV_NONE, /* not a bird's-eye-view plane */
    SPC_BEV_YX,   /* rows are y, columns are x */
    SPC_BEV_XY,   /* rows are x, columns are y */
};

#define SPC_MAX_NAME 128

struct spc_output_info {
    char name[SPC_MAX_NAME];
    enum spc_output_kind kind;
    int rank;                   /* dense: of dims; sparse: 2 */
    int64_t dims[SPC_MAX_RANK]; /* sparse: [bound][channels] */
    enum spc_layout layout;
    enum spc_bev_axes bev_axes;
    int32_t channels;               /* sparse: columns; dense: C*Z of a BEV, else dims[1] */
    int32_t grid_z, grid_y, grid_x; /* sites' grid (sparse) or grid that was made dense */
    uint64_t reserved[8];
};

/* Describe output `i`, in the order of the file's graph outputs.
 * Errors: SPC_ERR_ARGUMENT for a wrong `i`. Thread-safety: any thread. */
SPC_API enum spc_status spc_model_get_output(const struct spc_model *model, int i,
                                             struct spc_output_info *info, struct spc_error *err);

struct spc_node_info {
    char name[SPC_MAX_NAME];
    char op[32];             /* the ONNX operator */
    char rulebook[SPC_MAX_NAME];
    char detail[160];        /* human-readable: kernel, stride, activation, ... */
    int32_t in_channels, out_channels; /* 0 where they mean nothing */
    uint64_t reserved[4];
};

/* Describe node `i` of the file, in file order. Errors: SPC_ERR_ARGUMENT.
 * Thread-safety: any thread. */
SPC_API enum spc_status spc_model_get_node(const struct spc_model *model, int i,
                                           struct spc_node_info *info, struct spc_error *err);

/* ------------------------------------------------------------------ session ------------------ */

enum spc_precision {
    SPC_PRECISION_AUTO = 0, /* fp32 on the CPU, fp16 on CUDA */
    SPC_PRECISION_FP32,
    SPC_PRECISION_FP16, /* weights and activations stored as binary16, sums and biases in float32;
                           features and activations beyond 65504 become infinite; weights that
                           large are refused by spc_session_create() */
    SPC_PRECISION_INT8,
};

/* "fp32", "fp16", "int8", "auto". Thread-safety: any thread. */
SPC_API const char *spc_precision_name(enum spc_precision precision);

/* Order of the rows of a sparse output. */
enum spc_row_order {
    SPC_ROWS_SITE,  /* the engine's site order: see spc_output */
    SPC_ROWS_INPUT, /* rows as in the input frame where the output's sites are the input's */
};

enum spc_memory {
    SPC_MEMORY_HOST = 0,
    SPC_MEMORY_CUDA,
};

/* A planned and allocated instance of a model. Belongs to one thread at a time. */
struct spc_session;

struct spc_session_options {
    size_t struct_size;
    const char *backend;          /* "auto" (default), "cpu", "cuda" */
    int device;                   /* CUDA device, in its primary context; -1 (default): the context
                                     that is current, or the current device's primary one */
    enum spc_precision precision; /* default AUTO */
    int threads;                  /* CPU threads; 0 (default): one per processor that affinity
                                     and the container's limit leave */
    const char *isa;              /* CPU: "auto" (default), "c", "avx2", "avx512", "neon" */
    int64_t max_voxels;           /* bound of input rows; default 200000 */
    int64_t site_bound;           /* bound of every other level; 0: each node's output_bound */
    enum spc_dtype output_type;   /* of dense and sparse outputs; NONE: the precision's own */
    enum spc_row_order row_order; /* of sparse outputs; default SPC_ROWS_SITE */
    bool expose_all;              /* every value of the graph is an output; nothing is fused */
    bool profile;                 /* measure each node */
    bool cuda_graph;              /* CUDA: record the frame once, replay it. Default true */
    spc_log_fn log;               /* may be NULL */
    void *log_user;
    bool aux_stream;              /* CUDA: the index of other levels is built on a stream of its
                                     own, beside the first convolutions. Default true */
    /* Hints, for programs that set them on other engines: sort rows by their neighbours, and size
     * launches for so many sites (0: none). Without effect, as cuda/README.md tells why. */
    bool sort_mask;
    int64_t fixed_launch_points;
    const char *tuning_cache;     /* file that spc_session_tune() adds to, and from which a session
                                     takes what it says of it; NULL (default): none */
};

/* As for spc_model_options. */
SPC_API void spc_session_options_init(struct spc_session_options *options, size_t size);
static inline void spc_session_options_default(struct spc_session_options *options)
{
    spc_session_options_init(options, sizeof(*options));
}

/* Plan the model for a backend and allocate all that frames up to the bounds can need. A backend,
 * device, instruction set or precision that was asked for and is missing is an error, never
 * replaced; "auto" takes CUDA where a device is usable, else the CPU, and says so in the log.
 * `options` may be NULL for the defaults.
 * Errors: SPC_ERR_BACKEND, SPC_ERR_UNSUPPORTED, SPC_ERR_ARGUMENT, SPC_ERR_MEMORY, SPC_ERR_DEVICE.
 * The model must outlive the session. Thread-safety: any thread; sessions of one model may be
 * created and run in parallel.
 *
 * CUDA contexts: a session belongs to the context it was created in. Its functions may be called
 * whichever context is current, and leave that current; memory and streams given to it are of its
 * own context. Sessions of one model that are in one context share their weights, which stay there
 * until the model is freed. Free a session before its context is destroyed; after that its frames
 * fail with SPC_ERR_DEVICE, and spc_session_free() and spc_model_free() only free host memory. */
SPC_API enum spc_status spc_session_create(const struct spc_model *model,
                                           const struct spc_session_options *options,
                                           struct spc_session **session, struct spc_error *err);
SPC_API void spc_session_free(struct spc_session **session);

/* One frame of voxels. */
struct spc_voxels {
    enum spc_memory memory;
    enum spc_dtype feature_type; /* SPC_DTYPE_F32 or SPC_DTYPE_F16 */
    const void *features;        /* [num_voxels][num_features] */
    const int32_t *indices;      /* [num_voxels][4]: batch (0), then the model's index order */
    int64_t num_voxels;          /* rows; with device_count: rows that are allocated */
    const int32_t *device_count; /* CUDA: the number of rows, in device memory; below 0: refused by
                                    what made them; else NULL */
    void *stream;                /* CUDA: cudaStream_t the data is ready on, of the session's
                                    context; else NULL */
    uint64_t reserved[4]; /* zero */
};

#define SPC_CUDA_ALIGNMENT 16 /* bytes, of outputs in CUDA memory */

/* One output of a frame. The caller sets the first block; the run sets the second.
 *
 * Sparse rows are in site order: by tile of 8 (y) x 16 (x) columns, tiles row by row; within a
 * tile by y, then x, then z. It depends on the coordinates alone. */
struct spc_output {
    void *data;      /* caller's memory for the values, aligned to their type, CUDA memory to
                        SPC_CUDA_ALIGNMENT; with capacity 0 the run puts the session's own here,
                        valid until the next run, whatever it was before */
    size_t capacity; /* bytes of the caller's memory at data; 0: the session's own is to be used */
    enum spc_memory memory;

    enum spc_dtype dtype;
    int rank;
    int64_t dims[SPC_MAX_RANK]; /* sparse: [num_sites][channels] */
    size_t size;                /* bytes written */
    int64_t num_sites;          /* sparse: rows; dense: sites that were made dense */
    const int32_t *indices;     /* sparse: [num_sites][4] in the model's index order, session's
                                   memory, valid until the next run; dense: NULL */
    uint64_t reserved[4]; /* zero */
};

/* Number of outputs: the model's, or with expose_all the input and every node's. */
SPC_API int spc_session_num_outputs(const struct spc_session *session);
/* Describe output `i` as planned; `dtype` (may be NULL) and `size` (may be NULL) receive its
 * element type and most bytes. Errors: SPC_ERR_ARGUMENT. */
SPC_API enum spc_status spc_session_get_output(const struct spc_session *session, int i,
                                               struct spc_output_info *info,
                                               enum spc_dtype *dtype, size_t *size,
                                               struct spc_error *err);

/* Run one frame: submit and wait. Allocates nothing, but that the CUDA driver may, for pointers
 * that a session has not seen or has forgotten. `outputs` holds `num_outputs` entries for
 * the session's first outputs (fewer than there are is fine; the rest stays in the session).
 *
 * Defined results at the edges:
 *   zero voxels           valid: dense outputs are all zero, sparse ones have no rows
 *   NaN, infinity         in features: computed on as IEEE 754 says; ReLU keeps NaN
 *   same voxel twice      SPC_ERR_INPUT, names both rows
 *   index outside grid    SPC_ERR_INPUT, names the row; likewise a batch index that is not 0
 *   more than a bound     SPC_ERR_CAPACITY, names the node and both counts; nothing is truncated
 * After an error the session is as before and takes the next frame. Only a device that faults
 * (SPC_ERR_DEVICE, and the message says so) ends its CUDA context: from then on all calls in it
 * fail alike, what there is can still be freed, and a new process can use the device again.
 * The same input gives the same bits, whatever the number of threads.
 * Errors also: SPC_ERR_ARGUMENT, SPC_ERR_DEVICE. */
SPC_API enum spc_status spc_session_run(struct spc_session *session,
                                        const struct spc_voxels *voxels,
                                        struct spc_output *outputs, int num_outputs,
                                        struct spc_error *err);

/* The two halves of spc_session_run(), for backends that work beside the host. One frame may be
 * in flight per session; inputs and outputs must stay valid until the wait returns, which also
 * returns the frame's errors. On the CPU the submit does the work. On CUDA the copy of host memory
 * is begun there, the shorter way where the GPU reads it by itself (cudaHostAlloc). Allocates
 * nothing. */
SPC_API enum spc_status spc_session_submit(struct spc_session *session,
                                           const struct spc_voxels *voxels,
                                           struct spc_output *outputs, int num_outputs,
                                           struct spc_error *err);
SPC_API enum spc_status spc_session_wait(struct spc_session *session, struct spc_error *err);

/* Try on one frame which of several kernels each convolution is fastest with, and keep to them in
 * this session; CUDA only, takes less than a second and no more memory. All give right results,
 * which differ in the last bits; with one choice the same input gives the same bits.
 *
 * Where the session was made with `tuning_cache`, the choice is also written there, whole or not at
 * all. It holds for sessions on the same kind of GPU, with the same model, precision and version
 * of the engine, which then run like that from their first frame. One file serves many models and
 * GPUs: a choice only takes the place of one that holds for the same. A file that is missing,
 * damaged, or says nothing of this session is ignored, and one that cannot be written, or is no
 * tuning file, stays as it is; the log says so.
 * Errors: as spc_session_run(); the session then runs as before. */
SPC_API enum spc_status spc_session_tune(struct spc_session *session,
                                         const struct spc_voxels *voxels, struct spc_error *err);

struct spc_session_info {
    char backend[16];             /* "cpu", "cuda" */
    char device[128];             /* processor or GPU */
    char isa[16];                 /* CPU instruction set in use */
    enum spc_precision precision; /* never AUTO */
    int threads;
    int64_t max_voxels;
    size_t host_bytes;   /* reserved host memory of this session; touched as frames need it */
    size_t device_bytes; /* device memory of this session */
    size_t shared_bytes; /* packed weights, shared by the sessions of the model */
    int num_steps;       /* what spc_session_get_step() describes */
    int64_t frame_voxels; /* rows of the last frame that was waited for; of a frame with
                             device_count this is the way to know */
    uint64_t reserved[7];
};

SPC_API void spc_session_get_info(const struct spc_session *session, struct spc_session_info *info);

/* What one step of the last frame did. A step is a node with what was fused into it, or a part of
 * the index ("index" steps). Times are measured where the session was made with `profile`. */
struct spc_step_profile {
    char name[SPC_MAX_NAME];  /* the node's; with fused nodes "conv2+add0+relu0" */
    char op[32];
    double milliseconds;      /* last frame; 0 without profile */
    int64_t sites_in, sites_out;
    int64_t pairs;            /* rulebook entries that were multiplied */
    double gflop;             /* useful: 2 * pairs * in * out channels / 1e9 */
    int32_t in_channels, out_channels;
    uint64_t reserved[4];
};

/* Errors: SPC_ERR_ARGUMENT. */
SPC_API enum spc_status spc_session_get_step(const struct spc_session *session, int i,
                                             struct spc_step_profile *profile,
                                             struct spc_error *err);

/* Backends built into the library, by number: "cpu", "cuda"; NULL past the last. `why` (may be
 * NULL) receives SPC_OK or the reason why it cannot be used on this machine.
 * Thread-safety: any thread. */
SPC_API const char *spc_backend_name(int i, struct spc_error *why);

/* ------------------------------------------------------------------ points to voxels --------- */

#define SPC_MAX_POINT_FIELDS 16

/* A point cloud: `count` records of `stride` bytes at `data`, unaligned data is fine. The first
 * three fields are x, y, z; a voxel's features are the means of the fields in this order. */
struct spc_points {
    const void *data;
    int64_t count;
    size_t stride;
    int num_fields; /* 3 to SPC_MAX_POINT_FIELDS */
    struct {
        enum spc_dtype type; /* SPC_DTYPE_F32, F16, U8, or U32 */
        size_t offset;       /* bytes from the start of a record */
    } fields[SPC_MAX_POINT_FIELDS];
    enum spc_memory memory; /* of data */
    void *stream; /* backend "cuda": cudaStream_t to work on, where data in CUDA memory is ready.
                     NULL: the default stream; for data in host memory, one of the voxelizer's.
                     Of the context that the voxelizer was created in */
    uint64_t reserved[2]; /* zero */
};

struct spc_voxelizer;

struct spc_voxelizer_options {
    size_t struct_size;
    float range[6];               /* x, y, z minimum (inclusive), then maximum (exclusive) */
    float voxel_size[3];          /* x, y, z */
    int num_features;             /* fields averaged; default 5 */
    int32_t max_points_per_voxel; /* mean of the first so many in point order; 0: of all */
    int64_t max_voxels;           /* bound; default 200000 */
    int32_t grid_extra_z;         /* cells added to the grid's z above the range (CenterPoint: 1) */
    enum spc_index_order index_order;
    enum spc_dtype feature_type;  /* of the result: F32 (default) or F16 */
    const char *backend;          /* "auto" (default), "cpu", "cuda", as in spc_session_options:
                                     the results are the same, but for the bits of a NaN */
    int device;                   /* CUDA device; -1: the current one. Default -1 */
    bool cuda_graph;              /* CUDA: record the frame once, replay it. Default true */
    spc_log_fn log;               /* says what "auto" chose; may be NULL */
    void *log_user;
};

/* As for spc_model_options. */
SPC_API void spc_voxelizer_options_init(struct spc_voxelizer_options *options, size_t size);
static inline void spc_voxelizer_options_default(struct spc_voxelizer_options *options)
{
    spc_voxelizer_options_init(options, sizeof(*options));
}

/* Errors: SPC_ERR_ARGUMENT (range, size), SPC_ERR_MEMORY, SPC_ERR_BACKEND, SPC_ERR_DEVICE. Free
 * with spc_voxelizer_free(), with no frame in flight. */
SPC_API enum spc_status spc_voxelizer_create(const struct spc_voxelizer_options *options,
                                             struct spc_voxelizer **voxelizer,
                                             struct spc_error *err);
SPC_API void spc_voxelizer_free(struct spc_voxelizer **voxelizer);

/* What computes: "cpu" or "cuda". */
SPC_API const char *spc_voxelizer_backend(const struct spc_voxelizer *voxelizer);

/* Grid of the voxelizer: round((maximum - minimum) / size) cells, z with grid_extra_z more. */
SPC_API void spc_voxelizer_get_grid(const struct spc_voxelizer *voxelizer, int32_t *grid_z,
                                    int32_t *grid_y, int32_t *grid_x);

struct spc_voxelizer_result {
    int64_t num_voxels;
    int64_t points_used;    /* that went into a mean */
    int64_t points_outside; /* outside the range, or not finite */
    int64_t points_over;    /* beyond max_points_per_voxel */
    uint64_t reserved[4];
};

/* Points to voxels: cell = floor((p - minimum) / size), computed in float32, as training code
 * does; where that comes out at the grid's end for a point below the maximum, the last cell takes
 * it. A voxel's features are the means of its points' fields, summed in point order in float32.
 * Rows come in site order (see spc_output). `features` has room for [max_voxels][num_features] of
 * feature_type, `indices` for [max_voxels][4]; both are host memory, whatever the backend.
 * Zero points, or none in range, give zero voxels.
 * Errors: SPC_ERR_CAPACITY (says how many voxels there are; nothing is written),
 * SPC_ERR_ARGUMENT, SPC_ERR_MEMORY, SPC_ERR_DEVICE. Allocates only for a cloud larger than any
 * before. */
SPC_API enum spc_status spc_voxelizer_run(struct spc_voxelizer *voxelizer,
                                          const struct spc_points *points, void *features,
                                          int32_t *indices, struct spc_voxelizer_result *result,
                                          struct spc_error *err);

/* The same in two halves, into voxels that can be given to spc_session_submit() at once. One frame
 * may be in flight per voxelizer; points and memory must stay valid until the wait returns.
 *
 * The caller zeroes *voxels, sets `memory` to that of the backend, and may set features, indices
 * and (CUDA) device_count to memory of its own, with room as for spc_voxelizer_run(); where they
 * are NULL, the voxelizer's own memory is used, valid until its next frame. The submit fills in
 * the rest.
 *
 * On CUDA nothing is read back: num_voxels becomes max_voxels, *device_count the number of voxels
 * once `stream` has come that far, and -1 where a frame is refused, so that sessions refuse it,
 * too. Points in host memory are copied before the submit returns, unless they are in memory that
 * the GPU reads by itself (cudaHostAlloc). Errors of the frame are returned by the wait.
 * On the CPU the submit does the work and returns the errors.
 * Errors: as for spc_voxelizer_run(). Allocates only for a cloud larger than any before, and for
 * the first frame that needs memory of the voxelizer's own. */
SPC_API enum spc_status spc_voxelizer_submit(struct spc_voxelizer *voxelizer,
                                             const struct spc_points *points,
                                             struct spc_voxels *voxels, struct spc_error *err);
SPC_API enum spc_status spc_voxelizer_wait(struct spc_voxelizer *voxelizer,
                                           struct spc_voxelizer_result *result,
                                           struct spc_error *err);

#ifdef __cplusplus
}
#endif

#endif
