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
#include "gst_bench.h"

#include "gstspconvinfer.h"

#define MAX_VOXELS 200000

static const char *model_file;
static struct spc_array features, indices;
static guint frames = 400;
static float *expected; /* of the engine alone, system memory, float32 */
static gsize num_values;

struct run {
    gboolean cuda_in, cuda_out;
    guint inflight;
    gint64 push_time[MAX_FRAMES];
    struct times times;
};

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

    return activate(pool, size);
}

/* ---- the element between two pads ---- */

static GstFlowReturn receive(GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
    struct run *run = gst_pad_get_element_private(pad);

    (void)parent;
    take_arrival(&run->times, buffer);
    gst_buffer_unref(buffer);
    return GST_FLOW_OK;
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
    GstBuffer *last = run->times.last;
    double difference = 0, norm = 0;
    GstMapInfo map;
    gsize i;

    REQUIRE(last && gst_buffer_map(last, &map, GST_MAP_READ));
    CHECK(gst_spconv_cuda_is_memory(last) == run->cuda_out);
    CHECK(!run->cuda_out || gst_spconv_cuda_owns(cuda, last));
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
    gst_buffer_unmap(last, &map);
    g_free(values);
}

static void send_frames(struct run *run, GstPad *pad, GstBuffer **sources)
{
    guint i;

    for (i = 0; i < frames; i++) {
        GstBuffer *buffer = gst_buffer_ref(sources[i % SOURCES]);

        run->times.sent_at[i] = now();
        CHECK_INT(gst_pad_push(pad, buffer), GST_FLOW_OK);
        run->push_time[i] = now() - run->times.sent_at[i];
    }
}

static void print_run(struct run *run)
{
    const struct figures figures = figures_of(&run->times, frames);
    guint warm = frames / 4, i;

    printf("%-6s > %-6s inflight %u: %7.1f frames/s (%.3f ms), latency %8.1f us, first %8.1f, "
           "2nd to 8th",
           run->cuda_in ? "CUDA" : "system", run->cuda_out ? "CUDA" : "system", run->inflight,
           figures.rate, 1e3 / figures.rate, figures.latency, figures.first);
    for (i = 1; i < 8; i++)
        printf(" %.0f", (gdouble)(run->times.came_at[i] - run->times.sent_at[i]) / 1e3);
    printf(", host %.1f us\n", median_us(run->push_time + warm, frames - warm));
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

static void stream(struct run *run, GstPad *pad)
{
    GstBufferPool *pool = make_pool();
    GstBuffer *sources[SOURCES];
    guint i;

    for (i = 0; i < SOURCES; i++)
        sources[i] = run->cuda_in ? cuda_frame(pool) : host_frame();
    start_stream(pad, voxel_caps(run));
    send_frames(run, pad, sources);
    gst_pad_push_event(pad, gst_event_new_eos());
    CHECK_INT(run->times.received, frames);
    for (i = 0; i < SOURCES; i++)
        gst_buffer_unref(sources[i]);
    gst_buffer_pool_set_active(pool, FALSE);
    gst_object_unref(pool);
}

static void run_element(gboolean cuda_in, gboolean cuda_out, guint inflight)
{
    struct run *run = g_new0(struct run, 1);
    GstElement *element = g_object_new(GST_TYPE_SPCONV_INFER, NULL); /* no plugin is loaded */
    GstPad *in = make_in(element), *out;
    GstPad *src = gst_element_get_static_pad(element, "src");

    run->cuda_in = cuda_in;
    run->cuda_out = cuda_out;
    run->inflight = inflight;
    out = make_out(run);
    g_object_set(element, "model-file", model_file, "inflight", inflight, NULL);
    gst_util_set_object_arg(G_OBJECT(element), "backend", "cuda");
    CHECK_INT(gst_pad_link(src, out), GST_PAD_LINK_OK);
    CHECK(gst_element_set_state(element, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE);
    stream(run, in);
    if (run->times.received == frames) {
        print_run(run);
        check_values(run);
    }
    gst_element_set_state(element, GST_STATE_NULL);
    gst_clear_buffer(&run->times.last);
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
    open_context();
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
    close_context();
    spc_array_free(&features);
    spc_array_free(&indices);
    g_free(expected);
    return test_result();
}
