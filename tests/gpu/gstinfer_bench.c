/* SPDX-License-Identifier: MIT */
/*
 * The element spconvinfer on a GPU: frames in and out of CUDA memory and system memory, one or more
 * in flight, held to the engine's own result; and how long frames take.
 *
 *     bench-gpu-gstinfer MODEL FEATURES INDICES [FRAMES]
 *
 * The element stands between two pads of this program, so that nothing else is measured. Latency
 * is from the push of a frame to its arrival, alone or with others in flight; the first frame's is
 * shown beside the median. "host us" is what the pushing thread spends in the push.
 */
#include "test.h"

#include <cuda_runtime_api.h>

#include "gstspconvinfer.h"

#define MAX_FRAMES 4096
#define SOURCES 3
#define MAX_VOXELS 200000

static const char *model_file;
static struct spc_array features, indices;
static guint frames = 400;
static float *expected; /* of the engine alone, system memory, float32 */
static gsize num_values;
static GstElement *owner; /* of the context that is shared */
static struct gst_spconv_cuda *cuda;

struct run {
    gboolean cuda_in, cuda_out;
    guint inflight;
    guint received;
    gint64 sent_at[MAX_FRAMES], came_at[MAX_FRAMES], push_time[MAX_FRAMES];
    GstBuffer *last;
};

static gint64 now(void)
{
    return (gint64)gst_util_get_timestamp();
}

static int compare(const void *a, const void *b)
{
    gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

    return (x > y) - (x < y);
}

static double median_us(gint64 *values, guint count)
{
    qsort(values, count, sizeof(*values), compare);
    return (double)values[count / 2] / 1e3;
}

/* ---- the engine alone ---- */

static struct spc_voxels host_voxels(void)
{
    return (struct spc_voxels){
        .feature_type = features.dtype,
        .features = features.data,
        .indices = indices.data,
        .num_voxels = features.dims[0],
    };
}

static void run_engine(void)
{
    struct spc_voxels voxels = host_voxels();
    struct spc_output out = {0};
    struct spc_session_options options;
    struct spc_session *session = NULL;
    struct spc_model *model = NULL;
    struct spc_error error;

    spc_session_options_default(&options);
    options.backend = "cuda";
    options.output_type = SPC_DTYPE_F32;
    if (spc_model_load_file(model_file, NULL, &model, &error) ||
        spc_session_create(model, &options, &session, &error) ||
        spc_session_run(session, &voxels, &out, 1, &error)) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    num_values = out.size / sizeof(float);
    expected = g_memdup2(out.data, out.size);
    spc_session_free(&session);
    spc_model_free(&model);
}

/* ---- buffers ---- */

static GstBuffer *host_frame(void)
{
    guint columns = (guint)features.dims[1];
    GstBuffer *buffer = gst_spconv_voxels_new(NULL, features.dtype, columns, features.dims[0]);
    struct gst_spconv_voxels view;

    CHECK(gst_spconv_voxels_map(&view, buffer, GST_MAP_WRITE, features.dtype, columns, NULL));
    memcpy(view.features, features.data, features.size);
    memcpy(view.indices, indices.data, indices.size);
    gst_spconv_voxels_unmap(&view);
    return buffer;
}

static GstBuffer *cuda_frame(GstBufferPool *pool)
{
    gint32 count = (gint32)features.dims[0];
    struct gst_spconv_cuda_voxels view;
    GstBuffer *buffer = NULL;

    CHECK_INT(gst_buffer_pool_acquire_buffer(pool, &buffer, NULL), GST_FLOW_OK);
    CHECK(gst_spconv_cuda_voxels_map(&view, buffer, GST_MAP_WRITE, features.dtype,
                                     (guint)features.dims[1], NULL));
    CHECK(gst_spconv_cuda_enter(cuda));
    CHECK(!cudaMemcpy(view.features, features.data, features.size, cudaMemcpyHostToDevice));
    CHECK(!cudaMemcpy(view.indices, indices.data, indices.size, cudaMemcpyHostToDevice));
    CHECK(!cudaMemcpy(view.count, &count, sizeof(count), cudaMemcpyHostToDevice));
    CHECK(!cudaDeviceSynchronize());
    gst_spconv_cuda_leave(cuda);
    gst_spconv_cuda_voxels_unmap(&view);
    return buffer;
}

static GstBufferPool *make_pool(void)
{
    gsize size;
    GstBufferPool *pool = gst_spconv_cuda_voxels_pool_new(
        cuda, NULL, features.dtype, (guint)features.dims[1], MAX_VOXELS, &size);
    GstStructure *config = gst_buffer_pool_get_config(pool);

    gst_buffer_pool_config_set_params(config, NULL, (guint)size, SOURCES, 0);
    CHECK(gst_buffer_pool_set_config(pool, config) && gst_buffer_pool_set_active(pool, TRUE));
    return pool;
}

/* ---- the element between two pads ---- */

static GstFlowReturn receive(GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
    struct run *run = gst_pad_get_element_private(pad);

    (void)parent;
    run->came_at[run->received++] = now();
    gst_buffer_replace(&run->last, buffer);
    gst_buffer_unref(buffer);
    return GST_FLOW_OK;
}

static gboolean answer(GstPad *pad, GstObject *parent, GstQuery *query)
{
    if (GST_QUERY_TYPE(query) == GST_QUERY_CONTEXT)
        return gst_spconv_cuda_answer(cuda, query);
    return gst_pad_query_default(pad, parent, query);
}

static GstCaps *voxel_caps(const struct run *run)
{
    struct gst_spconv_voxels_info info = {
        .feature_type = features.dtype,
        .num_features = (guint)features.dims[1],
        .max_voxels = MAX_VOXELS,
        .fps_d = 1,
    };
    struct spc_model_info model_info;
    struct spc_model *model = NULL;
    GstCaps *caps;

    CHECK(!spc_model_load_file(model_file, NULL, &model, NULL));
    spc_model_get_info(model, &model_info);
    spc_model_free(&model);
    info.index_order = model_info.index_order;
    info.grid_x = model_info.grid_x;
    info.grid_y = model_info.grid_y;
    info.grid_z = model_info.grid_z;
    caps = gst_spconv_voxels_info_to_caps(&info);
    return run->cuda_in ? gst_spconv_cuda_caps(caps) : caps;
}

/* Relative L2 distance of the last frame to the engine's. */
static void check_values(struct run *run)
{
    float *values = g_new(float, num_values);
    double difference = 0, norm = 0;
    GstMapInfo map;
    gsize i;

    REQUIRE(run->last && gst_buffer_map(run->last, &map, GST_MAP_READ));
    CHECK(gst_spconv_cuda_is_memory(run->last) == run->cuda_out);
    CHECK(!run->cuda_out || gst_spconv_cuda_owns(cuda, run->last));
    CHECK_INT(map.size, num_values * (run->cuda_out ? 2 : 4));
    if (run->cuda_out)
        spc_convert_f16_to_f32((const uint16_t *)map.data, values, num_values);
    else
        memcpy(values, map.data, num_values * sizeof(*values));
    for (i = 0; i < num_values; i++) {
        difference += pow((double)values[i] - expected[i], 2);
        norm += pow(expected[i], 2);
    }
    CHECK(norm > 0);
    CHECK_NEAR(sqrt(difference / norm), 0, run->cuda_out ? 1e-3 : 0);
    gst_buffer_unmap(run->last, &map);
    g_free(values);
}

static void send_frames(struct run *run, GstPad *pad, GstBuffer **sources)
{
    guint i;

    for (i = 0; i < frames; i++) {
        GstBuffer *buffer = gst_buffer_ref(sources[i % SOURCES]);

        run->sent_at[i] = now();
        CHECK_INT(gst_pad_push(pad, buffer), GST_FLOW_OK);
        run->push_time[i] = now() - run->sent_at[i];
    }
}

static void print_run(struct run *run)
{
    gint64 latency[MAX_FRAMES];
    guint warm = frames / 4, rest = frames - warm, i;
    double rate = (rest - 1) * 1e9 / (double)(run->came_at[frames - 1] - run->came_at[warm]);

    for (i = 0; i < frames; i++)
        latency[i] = run->came_at[i] - run->sent_at[i];
    printf("%-6s > %-6s inflight %u: %7.1f frames/s (%.3f ms), latency %8.1f us, first %8.1f, "
           "2nd to 8th",
           run->cuda_in ? "CUDA" : "system", run->cuda_out ? "CUDA" : "system", run->inflight, rate,
           1e3 / rate, median_us(latency + warm, rest), (double)latency[0] / 1e3);
    for (i = 1; i < 8; i++)
        printf(" %.0f", (double)latency[i] / 1e3);
    printf(", host %.1f us\n", median_us(run->push_time + warm, rest));
    fflush(stdout);
}

/* The pad behind the element: takes CUDA memory only, or anything. */
static GstPad *make_out(struct run *run)
{
    GstCaps *caps = run->cuda_out
                        ? gst_spconv_cuda_caps(gst_caps_from_string(GST_SPCONV_BEV_TEMPLATE))
                        : gst_caps_new_any();
    GstPadTemplate *template = gst_pad_template_new("out", GST_PAD_SINK, GST_PAD_ALWAYS, caps);
    GstPad *pad = gst_pad_new_from_template(template, "out");

    gst_pad_set_element_private(pad, run);
    gst_pad_set_chain_function(pad, receive);
    gst_pad_set_active(pad, TRUE);
    gst_object_unref(template);
    gst_caps_unref(caps);
    return pad;
}

static void start_stream(const struct run *run, GstPad *pad)
{
    GstCaps *caps = voxel_caps(run);
    GstSegment segment;

    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_pad_push_event(pad, gst_event_new_stream_start("bench"));
    CHECK(gst_pad_push_event(pad, gst_event_new_caps(caps)));
    gst_pad_push_event(pad, gst_event_new_segment(&segment));
    gst_caps_unref(caps);
}

static void stream(struct run *run, GstPad *pad)
{
    GstBufferPool *pool = make_pool();
    GstBuffer *sources[SOURCES];
    guint i;

    for (i = 0; i < SOURCES; i++)
        sources[i] = run->cuda_in ? cuda_frame(pool) : host_frame();
    start_stream(run, pad);
    send_frames(run, pad, sources);
    gst_pad_push_event(pad, gst_event_new_eos());
    CHECK_INT(run->received, frames);
    for (i = 0; i < SOURCES; i++)
        gst_buffer_unref(sources[i]);
    gst_buffer_pool_set_active(pool, FALSE);
    gst_object_unref(pool);
}

static void run_element(gboolean cuda_in, gboolean cuda_out, guint inflight)
{
    struct run *run = g_new0(struct run, 1);
    GstElement *element = g_object_new(GST_TYPE_SPCONV_INFER, NULL); /* no plugin is loaded */
    GstPad *in = gst_pad_new("in", GST_PAD_SRC), *out;
    GstPad *sink = gst_element_get_static_pad(element, "sink");
    GstPad *src = gst_element_get_static_pad(element, "src");

    run->cuda_in = cuda_in;
    run->cuda_out = cuda_out;
    run->inflight = inflight;
    out = make_out(run);
    g_object_set(element, "model-file", model_file, "inflight", inflight, NULL);
    gst_util_set_object_arg(G_OBJECT(element), "backend", "cuda");
    gst_pad_set_query_function(in, answer);
    gst_pad_set_active(in, TRUE);
    CHECK_INT(gst_pad_link(in, sink), GST_PAD_LINK_OK);
    CHECK_INT(gst_pad_link(src, out), GST_PAD_LINK_OK);
    CHECK(gst_element_set_state(element, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE);
    stream(run, in);
    if (run->received == frames) {
        print_run(run);
        check_values(run);
    }
    gst_element_set_state(element, GST_STATE_NULL);
    gst_clear_buffer(&run->last);
    gst_object_unref(sink);
    gst_object_unref(src);
    gst_object_unref(in);
    gst_object_unref(out);
    gst_object_unref(element);
    g_free(run);
}

int main(int argc, char **argv)
{
    struct spc_error error;
    guint inflight;
    gint kind;

    gst_init(&argc, &argv);
    if (argc < 4) {
        fprintf(stderr, "usage: bench-gpu-gstinfer MODEL FEATURES INDICES [FRAMES]\n");
        return 2;
    }
    owner = gst_bin_new(NULL);
    cuda = gst_spconv_cuda_new(owner);
    if (!gst_spconv_cuda_open(cuda, -1))
        SKIP_ALL("there is no usable CUDA device");
    model_file = argv[1];
    if (spc_array_read(argv[2], &features, &error) || spc_array_read(argv[3], &indices, &error)) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    if (argc > 4)
        frames = CLAMP((guint)atoi(argv[4]), 20, MAX_FRAMES);
    run_engine();
    for (kind = 0; kind < 4; kind++)
        for (inflight = 1; inflight <= 3; inflight++)
            run_element(kind == 0 || kind == 2, kind == 0 || kind == 1, inflight);
    gst_spconv_cuda_free(&cuda);
    gst_object_unref(owner);
    spc_array_free(&features);
    spc_array_free(&indices);
    g_free(expected);
    return test_result();
}
