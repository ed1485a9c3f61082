/* SPDX-License-Identifier: MIT */
/*
 * What GStreamer costs: lidarvoxelize backend=cuda ! spconvinfer backend=cuda ! fakesink, held to
 * the engine's voxelizer and session alone, on the same points.
 *
 *     bench-gpu-pipeline MODEL POINTS [FRAMES [cuda|system|pinned INFLIGHT]]
 *
 * POINTS: float16 records x, y, z, intensity, time (.bin), voxelized as CenterPoint's are. Alone, a
 * frame is submitted to a voxelizer and a session of one stream, and waited for when its turn comes
 * again, after `inflight` frames: nothing waits between the two. In the pipeline frames are pushed
 * as a source would, and the output must be the same, bit for bit. Printed is a table: frames/s,
 * and what part that is of the engines'; the median time from push to arrival; the first frame's.
 */
#include "gst_bench.h"

#include "gstlidarvoxelize.h"
#include "gstspconvinfer.h"

#define MAX_INFLIGHT 3
#define MAX_VOXELS 200000
#define NUM_FIELDS 5
#define CLOUD                                                                                      \
    "point-step=20,fields=\"x:F32:0,y:F32:4,z:F32:8,intensity:F32:12,time:F32:16\","               \
    "is-bigendian=false,is-dense=true,framerate=10/1"

static const float range[6] = {-54, -54, -5, 54, 54, 3}, voxel_size[3] = {0.075f, 0.075f, 0.2f};
static const gchar *model_file;
static struct spc_model *model;
static struct spc_array points;
static guint frames = 400;

static void *expected; /* of the engines alone, on the host */
static gsize expected_size;

/* Where the points are. */
enum kind {
    KIND_CUDA,
    KIND_SYSTEM,
    KIND_PINNED, /* system memory that the GPU reads by itself */
    NUM_KINDS,
};

static const gchar *const kinds[] = {"cuda", "system", "pinned"};

struct clouds {
    GstBufferPool *pool;
    GstBuffer *buffers[SOURCES];
    void *data[SOURCES];
};

/* ---- the engines alone ---- */

/* A frame in flight, with a voxelizer and a session of its own. */
struct lane {
    struct spc_voxelizer *voxelizer;
    struct spc_session *session;
    cudaStream_t stream;
    struct spc_voxels voxels;
    struct spc_output output;
    gint64 *came_at; /* to be set */
};

static void require(enum spc_status status, const struct spc_error *error)
{
    if (!status)
        return;
    fprintf(stderr, "bench-gpu-pipeline: %s\n", error->message);
    exit(1);
}

static struct spc_voxelizer *make_voxelizer(void)
{
    struct spc_voxelizer_options options;
    struct spc_voxelizer *voxelizer = NULL;
    struct spc_error error;

    spc_voxelizer_options_default(&options);
    memcpy(options.range, range, sizeof(range));
    memcpy(options.voxel_size, voxel_size, sizeof(voxel_size));
    options.num_features = NUM_FIELDS;
    options.grid_extra_z = 1;
    options.max_voxels = MAX_VOXELS;
    options.backend = "cuda";
    require(spc_voxelizer_create(&options, &voxelizer, &error), &error);
    return voxelizer;
}

static void open_lane(struct lane *lane)
{
    struct spc_session_options options;
    struct spc_error error;

    memset(lane, 0, sizeof(*lane));
    spc_session_options_default(&options);
    options.backend = "cuda";
    options.max_voxels = MAX_VOXELS;
    require(spc_session_create(model, &options, &lane->session, &error), &error);
    lane->voxelizer = make_voxelizer();
    CHECK(!cudaStreamCreateWithFlags(&lane->stream, cudaStreamNonBlocking));
}

static void close_lane(struct lane *lane)
{
    spc_voxelizer_free(&lane->voxelizer);
    spc_session_free(&lane->session);
    cudaStreamDestroy(lane->stream);
}

static void submit(struct lane *lane, const void *data, gboolean on_device)
{
    struct spc_points cloud = {
        .data = data,
        .count = points.dims[0],
        .stride = NUM_FIELDS * sizeof(float),
        .num_fields = NUM_FIELDS,
        .memory = on_device ? SPC_MEMORY_CUDA : SPC_MEMORY_HOST,
        .stream = lane->stream,
    };
    struct spc_error error;
    gint i;

    for (i = 0; i < NUM_FIELDS; i++) {
        cloud.fields[i].type = SPC_DTYPE_F32;
        cloud.fields[i].offset = (gsize)i * sizeof(float);
    }
    lane->voxels = (struct spc_voxels){.memory = SPC_MEMORY_CUDA};
    lane->output = (struct spc_output){.memory = SPC_MEMORY_CUDA};
    require(spc_voxelizer_submit(lane->voxelizer, &cloud, &lane->voxels, &error), &error);
    require(spc_session_submit(lane->session, &lane->voxels, &lane->output, 1, &error), &error);
}

static void land(struct lane *lane)
{
    struct spc_voxelizer_result result;
    struct spc_error error;

    require(spc_session_wait(lane->session, &error), &error);
    if (lane->came_at)
        *lane->came_at = now();
    require(spc_voxelizer_wait(lane->voxelizer, &result, &error), &error);
}

static void keep_expected(const struct lane *lane)
{
    g_free(expected);
    expected_size = lane->output.size;
    expected = g_malloc(expected_size);
    CHECK(!cudaMemcpy(expected, lane->output.data, expected_size, cudaMemcpyDeviceToHost));
}

static struct figures run_engines(enum kind kind, guint inflight, const struct clouds *clouds)
{
    struct times *times = g_new0(struct times, 1);
    struct lane lanes[MAX_INFLIGHT];
    struct figures figures;
    guint i;

    CHECK(gst_spconv_cuda_enter(cuda));
    for (i = 0; i < inflight; i++)
        open_lane(&lanes[i]);
    for (i = 0; i < frames + inflight; i++) {
        struct lane *lane = &lanes[i % inflight];

        if (i >= inflight)
            land(lane);
        if (i >= frames)
            continue;
        times->sent_at[i] = now();
        lane->came_at = &times->came_at[i];
        submit(lane, clouds->data[i % SOURCES], kind == KIND_CUDA);
    }
    keep_expected(&lanes[0]);
    for (i = 0; i < inflight; i++)
        close_lane(&lanes[i]);
    gst_spconv_cuda_leave(cuda);
    figures = figures_of(times, frames);
    g_free(times);
    return figures;
}

/* The GPU takes some tenths of a second for it. */
static void reach_full_clock(void)
{
    const gint64 until = now() + 500 * GST_MSECOND;
    struct lane lane;

    CHECK(gst_spconv_cuda_enter(cuda));
    open_lane(&lane);
    while (now() < until) {
        submit(&lane, points.data, FALSE);
        land(&lane);
    }
    close_lane(&lane);
    gst_spconv_cuda_leave(cuda);
}

/* ---- the pipeline ---- */

static GstPadProbeReturn receive(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    (void)pad;
    take_arrival(user, GST_PAD_PROBE_INFO_BUFFER(info));
    return GST_PAD_PROBE_OK;
}

static GstBufferPool *make_pool(enum kind kind)
{
    const gsize bytes = points.size;

    if (kind == KIND_SYSTEM)
        return activate(gst_buffer_pool_new(), bytes);
    return activate(gst_spconv_cuda_pool_new(
                        cuda, kind == KIND_CUDA ? GST_SPCONV_CUDA_DEVICE : GST_SPCONV_CUDA_PINNED,
                        NULL, &bytes, 1),
                    bytes);
}

static void fill_cloud(GstBuffer *buffer, void **data)
{
    struct gst_spconv_cuda_map map;
    GstMapInfo host;

    if (gst_spconv_cuda_map(&map, buffer, GST_MAP_WRITE)) {
        *data = map.blocks[0].data;
        CHECK(gst_spconv_cuda_copy(cuda, *data, points.data, points.size, TRUE));
        gst_spconv_cuda_unmap(&map);
    } else if (gst_buffer_map(buffer, &host, GST_MAP_WRITE)) {
        *data = host.data; /* it stays there */
        memcpy(host.data, points.data, points.size);
        gst_buffer_unmap(buffer, &host);
    }
    CHECK(*data != NULL);
}

static void make_clouds(enum kind kind, struct clouds *clouds)
{
    gint i;

    memset(clouds, 0, sizeof(*clouds));
    clouds->pool = make_pool(kind);
    for (i = 0; i < SOURCES; i++) {
        CHECK_INT(gst_buffer_pool_acquire_buffer(clouds->pool, &clouds->buffers[i], NULL),
                  GST_FLOW_OK);
        fill_cloud(clouds->buffers[i], &clouds->data[i]);
    }
}

static void free_clouds(struct clouds *clouds)
{
    gint i;

    for (i = 0; i < SOURCES; i++)
        gst_buffer_unref(clouds->buffers[i]);
    gst_buffer_pool_set_active(clouds->pool, FALSE);
    gst_object_unref(clouds->pool);
}

/* The last frame is the engines', bit for bit. */
static void check_values(GstBuffer *last)
{
    GstMapInfo map;

    REQUIRE(last && gst_spconv_cuda_is_memory(last));
    REQUIRE(gst_buffer_map(last, &map, GST_MAP_READ));
    CHECK_INT(map.size, expected_size);
    CHECK(!memcmp(map.data, expected, expected_size));
    gst_buffer_unmap(last, &map);
}

static GstElement *make_pipeline(guint inflight, struct times *times, GstPad **in)
{
    GstElement *pipeline = gst_pipeline_new(NULL), *filter, *sink;
    GstElement *voxelize = g_object_new(GST_TYPE_LIDAR_VOXELIZE, NULL); /* no plugin is loaded */
    GstElement *infer = g_object_new(GST_TYPE_SPCONV_INFER, NULL);
    GstCaps *caps = gst_caps_from_string("other/tensors(memory:CUDAMemory)");
    GstPad *pad;

    filter = gst_element_factory_make("capsfilter", NULL);
    sink = gst_element_factory_make("fakesink", NULL);
    g_object_set(filter, "caps", caps, NULL);
    g_object_set(sink, "async", FALSE, "enable-last-sample", FALSE, NULL);
    g_object_set(voxelize, "range", "-54,-54,-5,54,54,3", "voxel-size", "0.075,0.075,0.2",
                 "max-voxels", MAX_VOXELS, NULL);
    g_object_set(infer, "model-file", model_file, "inflight", inflight, NULL);
    gst_util_set_object_arg(G_OBJECT(voxelize), "backend", "cuda");
    gst_util_set_object_arg(G_OBJECT(infer), "backend", "cuda");
    gst_bin_add_many(GST_BIN(pipeline), voxelize, infer, filter, sink, NULL);
    CHECK(gst_element_link_many(voxelize, infer, filter, sink, NULL));
    pad = gst_element_get_static_pad(sink, "sink");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, receive, times, NULL);
    gst_object_unref(pad);
    gst_caps_unref(caps);
    *in = make_in(voxelize);
    return pipeline;
}

static struct figures run_pipeline(enum kind kind, guint inflight, const struct clouds *clouds)
{
    struct times *times = g_new0(struct times, 1);
    GstPad *in;
    GstElement *pipeline = make_pipeline(inflight, times, &in);
    GstFlowReturn flow = GST_FLOW_OK;
    struct figures figures;
    guint i;

    CHECK_INT(gst_element_set_state(pipeline, GST_STATE_PLAYING), GST_STATE_CHANGE_SUCCESS);
    start_stream(in, gst_caps_from_string(kind == KIND_CUDA
                                              ? GST_SPCONV_POINTS_TYPE "(memory:CUDAMemory)," CLOUD
                                              : GST_SPCONV_POINTS_TYPE "," CLOUD));
    for (i = 0; i < frames && flow == GST_FLOW_OK; i++) {
        times->sent_at[i] = now();
        flow = gst_pad_push(in, gst_buffer_ref(clouds->buffers[i % SOURCES]));
    }
    gst_pad_push_event(in, gst_event_new_eos());
    CHECK_INT(flow, GST_FLOW_OK);
    CHECK_INT(times->received, frames);
    check_values(times->last);
    figures = figures_of(times, frames);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_clear_buffer(&times->last);
    gst_object_unref(pipeline);
    gst_object_unref(in);
    g_free(times);
    return figures;
}

/* ---- the table ---- */

static void compare_both(enum kind kind, guint inflight, const struct clouds *clouds)
{
    struct figures alone = run_engines(kind, inflight, clouds);
    struct figures piped = run_pipeline(kind, inflight, clouds);

    printf("| %s | %u | %.0f | %.0f | %.1f %% | %.0f | %.0f | %.0f, %.2f |\n", kinds[kind],
           inflight, alone.rate, piped.rate, 100 * piped.rate / alone.rate, alone.latency,
           piped.latency, piped.first, piped.first / piped.latency);
    fflush(stdout);
}

/* All of it, or one row. */
static void print_table(const gchar *only_kind, guint only_inflight)
{
    struct clouds clouds;
    guint kind, inflight;

    printf("%" G_GINT64_FORMAT " points, %u frames\n\n", (gint64)points.dims[0], frames);
    printf("| points from | `inflight` | engines, frames/s | pipeline, frames/s | of that | "
           "engines, us | pipeline, us | first frame, us, of the median |\n"
           "|---|---|---|---|---|---|---|---|\n");
    for (kind = 0; kind < NUM_KINDS; kind++) {
        if (only_kind && !g_str_equal(only_kind, kinds[kind]))
            continue;
        make_clouds(kind, &clouds);
        for (inflight = 1; inflight <= MAX_INFLIGHT; inflight++)
            if (!only_kind || only_inflight == inflight)
                compare_both(kind, inflight, &clouds);
        free_clouds(&clouds);
    }
}

int main(int argc, char **argv)
{
    struct spc_error error;

    gst_init(&argc, &argv);
    if (argc < 3) {
        fprintf(stderr, "usage: bench-gpu-pipeline MODEL POINTS [FRAMES [cuda|system|pinned "
                        "INFLIGHT]]\n");
        return 2;
    }
    open_context();
    model_file = argv[1];
    require(spc_model_load_file(model_file, NULL, &model, &error), &error);
    require(spc_points_read(argv[2], NUM_FIELDS, SPC_DTYPE_F16, &points, &error), &error);
    if (argc > 3)
        frames = CLAMP((guint)atoi(argv[3]), 20, MAX_FRAMES);
    reach_full_clock();
    print_table(argc > 5 ? argv[4] : NULL, argc > 5 ? (guint)atoi(argv[5]) : 0);
    CHECK(gst_spconv_cuda_enter(cuda)); /* the weights are there */
    spc_model_free(&model);
    gst_spconv_cuda_leave(cuda);
    close_context();
    spc_array_free(&points);
    g_free(expected);
    return test_result();
}
