/* SPDX-License-Identifier: MIT */
/* The element spconvinfer on a GPU as a black box: voxels and outputs in CUDA memory, contexts,
 * bounds, empty frames, renegotiation. No plugin is loaded: the element is linked in. */
#include "../gst/gst_test.h"
#include "gst_context.h"

#include <cuda_runtime_api.h>

#include "gstspconvinfer.h"

#define CUDA_VOXELS                                                                                \
    "application/x-voxels(memory:CUDAMemory),version=1,feature-type=float32,index-type=int32,"     \
    "grid-x=32,grid-y=32,grid-z=9,max-voxels=1000,batch=1,num-features=5,index-order=bzyx,"        \
    "framerate=10/1"
#define CUDA_BEV "other/tensors(memory:CUDAMemory)"
#define ROOM 1000
#define DELAY_BYTES ((gsize)1 << 30)

static void *delay; /* DELAY_BYTES: to clear them keeps a stream busy */

/* ---- the element in a harness ---- */

static GstHarness *gpu_harness(const gchar *model, const gchar *properties, GstBus **bus)
{
    GstElement *element = g_object_new(GST_TYPE_SPCONV_INFER, NULL);
    gchar *path = golden_path("models", model);
    gchar **parts = g_strsplit(properties, " ", -1);
    GstHarness *h;
    guint i;

    g_object_set(element, "model-file", path, NULL);
    gst_util_set_object_arg(G_OBJECT(element), "backend", "cuda");
    for (i = 0; parts[i] && parts[i][0]; i++) {
        gchar **pair = g_strsplit(parts[i], "=", 2);

        gst_util_set_object_arg(G_OBJECT(element), pair[0], pair[1]);
        g_strfreev(pair);
    }
    *bus = gst_bus_new();
    gst_element_set_bus(element, *bus);
    h = gst_harness_new_with_element(element, "sink", "src");
    gst_object_unref(element);
    g_strfreev(parts);
    g_free(path);
    return h;
}

/* Has the context of the element, which answers for it. */
static void share_context(GstHarness *h)
{
    GstQuery *query = gst_query_new_context("gst.cuda.context");
    GstContext *context = NULL;

    gst_spconv_cuda_close(cuda);
    CHECK(gst_pad_peer_query(h->srcpad, query));
    gst_query_parse_context(query, &context);
    gst_spconv_cuda_set_context(cuda, context, -1);
    CHECK(gst_spconv_cuda_open(cuda, -1));
    gst_query_unref(query);
}

/* A golden frame in memory of `context`; only the device knows how many voxels it has. With a
 * stream the frame may be on its way when this returns. */
static GstBuffer *frame_on(struct gst_spconv_cuda *context, const gchar *stem,
                           const struct gst_spconv_cuda_stream *stream)
{
    cudaStream_t handle = stream ? gst_spconv_cuda_stream_handle(stream) : NULL;
    gchar *features_name = g_strconcat(stem, ".features.npy", NULL);
    gchar *indices_name = g_strconcat(stem, ".indices.npy", NULL);
    struct spc_array features = read_golden("frames", features_name);
    struct spc_array indices = read_golden("frames", indices_name);
    gint32 count = (gint32)features.dims[0];
    struct gst_spconv_cuda_voxels view;
    GstBuffer *buffer = NULL;
    GstStructure *config;
    GstBufferPool *pool;
    gsize size;

    pool = gst_spconv_cuda_voxels_pool_new(context, stream, features.dtype, 5, ROOM, &size);
    config = gst_buffer_pool_get_config(pool);
    gst_buffer_pool_config_set_params(config, NULL, (guint)size, 1, 0);
    CHECK(gst_buffer_pool_set_config(pool, config) && gst_buffer_pool_set_active(pool, TRUE));
    CHECK_INT(gst_buffer_pool_acquire_buffer(pool, &buffer, NULL), GST_FLOW_OK);
    CHECK(gst_spconv_cuda_voxels_map(&view, buffer, GST_MAP_WRITE, features.dtype, 5, NULL));
    CHECK(gst_spconv_cuda_enter(context));
    CHECK(!cudaMemset(view.features, 0xff, view.map.blocks[0].size)); /* what is behind is poison */
    CHECK(!cudaMemset(view.indices, 0xff, view.map.blocks[1].size));
    CHECK(!cudaDeviceSynchronize());
    if (stream)
        CHECK(!cudaMemsetAsync(delay, 0, DELAY_BYTES, handle));
    CHECK(!cudaMemcpyAsync(view.features, features.data, features.size, cudaMemcpyHostToDevice,
                           handle));
    CHECK(!cudaMemcpyAsync(view.indices, indices.data, indices.size, cudaMemcpyHostToDevice,
                           handle));
    CHECK(!cudaMemcpyAsync(view.count, &count, sizeof(count), cudaMemcpyHostToDevice, handle));
    if (!stream || !GST_CHECK_VERSION(1, 24, 0))
        CHECK(!cudaStreamSynchronize(handle));
    gst_spconv_cuda_leave(context);
    gst_spconv_cuda_voxels_unmap(&view);
    gst_buffer_pool_set_active(pool, FALSE);
    gst_object_unref(pool);
    spc_array_free(&features);
    spc_array_free(&indices);
    g_free(features_name);
    g_free(indices_name);
    return buffer;
}

static GstBuffer *cuda_frame(struct gst_spconv_cuda *context, const gchar *stem)
{
    return frame_on(context, stem, NULL);
}

static void pull_and_check(GstHarness *h, gboolean in_cuda, const gchar *name)
{
    GstBuffer *out = gst_harness_pull(h);

    REQUIRE(out);
    CHECK(gst_spconv_cuda_is_memory(out) == in_cuda);
    check_tiny_values(out, name, in_cuda, 6e-3);
    gst_buffer_unref(out);
}

/* ---- tests ---- */

static void run_frames(const gchar *properties)
{
    GstBus *bus;
    GstHarness *h = gpu_harness("tiny.onnx", properties, &bus);
    guint i;

    gst_harness_set_sink_caps_str(h, CUDA_BEV);
    gst_harness_set_src_caps_str(h, CUDA_VOXELS);
    share_context(h);
    for (i = 0; i < 40; i++)
        CHECK_INT(gst_harness_push(h, cuda_frame(cuda, i % 3 ? "tiny.some" : "tiny.one")),
                  GST_FLOW_OK);
    for (i = 0; i < 40; i++)
        pull_and_check(h, TRUE, i % 3 ? "tiny.some.npy" : "tiny.one.npy");
    CHECK_INT(stat_of(h->element, "frames"), 40);
    CHECK_INT(stat_of(h->element, "last-voxels"), 1);
    CHECK_INT(stat_of(h->element, "voxels"), 26 * 90 + 14);
    check_no_error(bus);
    harness_free(h, bus);
}

TEST(frames)
{
    run_frames("");
    run_frames("inflight=3");
    run_frames("inflight=2 cuda-graph=false");
}

/* Each memory in front with each behind, in one stream. */
TEST(renegotiation)
{
    static const gchar *const voxels[] = {TINY_CAPS, CUDA_VOXELS};
    GstBus *bus;
    GstHarness *h;
    guint i;

    for (i = 0; i < 4; i++) {
        guint j;

        h = gpu_harness("tiny.onnx", i & 1 ? "inflight=2" : "", &bus);
        if (i & 2)
            gst_harness_set_sink_caps_str(h, CUDA_BEV);
        for (j = 0; j < 4; j++) {
            gst_harness_set_src_caps_str(h, voxels[j % 2]);
            share_context(h);
            CHECK_INT(gst_harness_push(h, j % 2 ? cuda_frame(cuda, "tiny.some")
                                                : golden_frame("tiny.some")),
                      GST_FLOW_OK);
            pull_and_check(h, (i & 2) != 0, "tiny.some.npy");
        }
        check_no_error(bus);
        harness_free(h, bus);
    }
}

TEST(over_the_bound)
{
    GstBus *bus;
    GstHarness *h = gpu_harness("tiny.onnx", "max-voxels=50 inflight=2", &bus);
    GstFlowReturn flow = GST_FLOW_OK;
    gchar *text;
    guint i;

    gst_harness_set_sink_caps_str(h, CUDA_BEV);
    gst_harness_set_src_caps_str(h, CUDA_VOXELS);
    share_context(h);
    for (i = 0; i < 100 && flow == GST_FLOW_OK; i++)
        flow = gst_harness_push(h, cuda_frame(cuda, "tiny.some"));
    CHECK_INT(flow, GST_FLOW_ERROR);
    CHECK_ERROR(bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT, "90");
    check_no_error(bus);
    CHECK_INT(gst_harness_buffers_in_queue(h), 0);
    harness_free(h, bus);

    h = gpu_harness("tiny.onnx", "max-voxels=50 overflow=drop-frame inflight=2", &bus);
    gst_harness_set_sink_caps_str(h, CUDA_BEV);
    gst_harness_set_src_caps_str(h, CUDA_VOXELS);
    share_context(h);
    CHECK_INT(gst_harness_push(h, cuda_frame(cuda, "tiny.some")), GST_FLOW_OK);
    CHECK_INT(gst_harness_push(h, cuda_frame(cuda, "tiny.one")), GST_FLOW_OK);
    pull_and_check(h, TRUE, "tiny.one.npy");
    CHECK_INT(stat_of(h->element, "dropped-overflow"), 1);
    text =
        take_text(bus, GST_MESSAGE_WARNING, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
    CHECK_TEXT(text, "50");
    g_free(text);
    harness_free(h, bus);
}

TEST(empty_frames)
{
    GstBus *bus;
    GstHarness *h = gpu_harness("tiny.onnx", "inflight=2", &bus);
    GstBuffer *out;
    GstMapInfo map;
    gsize i, other = 0;

    gst_harness_set_sink_caps_str(h, CUDA_BEV);
    gst_harness_set_src_caps_str(h, CUDA_VOXELS);
    share_context(h);
    for (i = 0; i < 6; i++) { /* every buffer of the pool has held a frame */
        CHECK_INT(gst_harness_push(h, cuda_frame(cuda, "tiny.some")), GST_FLOW_OK);
        gst_buffer_unref(gst_harness_pull(h));
    }
    CHECK(gst_harness_push_event(h, gst_event_new_gap(2 * GST_SECOND, GST_SECOND)));
    out = gst_harness_pull(h);
    REQUIRE(out);
    CHECK(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_GAP));
    CHECK(gst_spconv_cuda_is_memory(out));
    REQUIRE(gst_buffer_map(out, &map, GST_MAP_READ));
    CHECK_INT(map.size, TINY_OUT_VALUES * 2);
    for (i = 0; i < map.size; i++)
        other += map.data[i] != 0;
    CHECK_INT(other, 0);
    gst_buffer_unmap(out, &map);
    gst_buffer_unref(out);
    harness_free(h, bus);
}

/* Rows on the host: indices, then features as floats. */
static gint64 fetch_rows(GstBuffer *buffer, gfloat rows[][12])
{
    struct gst_spconv_cuda_voxels view;
    gint32 indices[ROOM][4], count = 0;
    uint16_t half[ROOM][8];
    gint i, j;

    if (!gst_spconv_cuda_voxels_map(&view, buffer, GST_MAP_READ, SPC_DTYPE_F16, 8, NULL))
        return -1;
    CHECK(gst_spconv_cuda_enter(cuda));
    CHECK(!cudaMemcpy(&count, view.count, sizeof(count), cudaMemcpyDeviceToHost));
    CHECK_INT(count, view.num_voxels);
    CHECK(count <= ROOM);
    CHECK(!cudaMemcpy(indices, view.indices, (gsize)count * 16, cudaMemcpyDeviceToHost));
    CHECK(!cudaMemcpy(half, view.features, (gsize)count * 16, cudaMemcpyDeviceToHost));
    gst_spconv_cuda_leave(cuda);
    gst_spconv_cuda_voxels_unmap(&view);
    for (i = 0; i < count; i++) {
        for (j = 0; j < 4; j++)
            rows[i][j] = (gfloat)indices[i][j];
        spc_convert_f16_to_f32(half[i], &rows[i][4], 8);
    }
    return count;
}

/* In site order, as the expected rows are. */
TEST(sparse_output)
{
    gchar *path = golden_path("models", "tiny_sparse_out.onnx"), *properties;
    struct spc_array expected = read_golden("expected", "tiny_sparse_out.some.npy");
    const gfloat *row = (const gfloat *)expected.data + TINY_OUT_VALUES;
    static gfloat rows[ROOM][12];
    struct spc_output_info info;
    struct spc_model *model = NULL;
    GstBuffer *out;
    GstBus *bus;
    GstHarness *h;
    gint i, j, k, found = 0;

    CHECK(!spc_model_load_file(path, NULL, &model, NULL));
    CHECK(!spc_model_get_output(model, 1, &info, NULL));
    spc_model_free(&model);
    properties = g_strdup_printf("output=%s inflight=2", info.name);
    h = gpu_harness("tiny_sparse_out.onnx", properties, &bus);
    gst_harness_set_sink_caps_str(h, "application/x-voxels(memory:CUDAMemory)");
    gst_harness_set_src_caps_str(h, CUDA_VOXELS);
    share_context(h);
    CHECK_INT(gst_harness_push(h, cuda_frame(cuda, "tiny_sparse_out.some")), GST_FLOW_OK);
    out = gst_harness_pull(h);
    REQUIRE(out);
    CHECK_INT(fetch_rows(out, rows), 124);
    for (i = 0; i < 124; i++, row += 12) {
        for (j = 0; j < 124 && memcmp(rows[j], row, 4 * sizeof(*row)); j++)
            ;
        found += j < 124;
        for (k = 4; j < 124 && k < 12; k++)
            CHECK_NEAR(rows[j][k], row[k], 1e-2 * (1 + fabs(row[k])));
    }
    CHECK_INT(found, 124);
    gst_buffer_unref(out);
    check_no_error(bus);
    harness_free(h, bus);
    spc_array_free(&expected);
    g_free(properties);
    g_free(path);
}

/* Where memory belongs to a stream, voxels that are still on their way are waited for there. */
TEST(streams)
{
    struct gst_spconv_cuda_stream *stream;
    GstBus *bus;
    GstHarness *h = gpu_harness("tiny.onnx", "inflight=2", &bus);
    gint i;

    gst_harness_set_sink_caps_str(h, CUDA_BEV);
    gst_harness_set_src_caps_str(h, CUDA_VOXELS);
    share_context(h);
    stream = gst_spconv_cuda_stream_new(cuda);
    REQUIRE(stream);
    CHECK(gst_spconv_cuda_enter(cuda));
    CHECK(!cudaMalloc(&delay, DELAY_BYTES));
    gst_spconv_cuda_leave(cuda);
    for (i = 0; i < 6; i++)
        CHECK_INT(gst_harness_push(h, frame_on(cuda, "tiny.some", stream)), GST_FLOW_OK);
    for (i = 0; i < 6; i++)
        pull_and_check(h, TRUE, "tiny.some.npy");
    check_no_error(bus);
    CHECK(gst_spconv_cuda_enter(cuda));
    CHECK(!cudaFree(delay));
    gst_spconv_cuda_leave(cuda);
    gst_spconv_cuda_stream_free(&stream);
    harness_free(h, bus);
}

/* Voxels in a context that is not the element's: it follows. */
TEST(other_context)
{
    GstElement *stranger = gst_bin_new(NULL);
    struct gst_spconv_cuda *other = gst_spconv_cuda_new(stranger);
    GstBus *bus;
    GstHarness *h = gpu_harness("tiny.onnx", "inflight=2", &bus);
    GstBuffer *out;
    gint i;

    gst_harness_set_sink_caps_str(h, CUDA_BEV);
    gst_harness_set_src_caps_str(h, CUDA_VOXELS);
    share_context(h);
    CHECK(gst_spconv_cuda_open(other, -1));
    CHECK_INT(gst_harness_push(h, cuda_frame(cuda, "tiny.some")), GST_FLOW_OK);
    pull_and_check(h, TRUE, "tiny.some.npy");
    for (i = 0; i < 3; i++) {
        CHECK_INT(gst_harness_push(h, cuda_frame(other, "tiny.some")), GST_FLOW_OK);
        out = gst_harness_pull(h);
        REQUIRE(out);
        CHECK(gst_spconv_cuda_owns(other, out));
        check_tiny_values(out, "tiny.some.npy", TRUE, 6e-3);
        gst_buffer_unref(out);
    }
    check_no_error(bus);
    harness_free(h, bus);
    gst_spconv_cuda_free(&other);
    gst_object_unref(stranger);
}

/* Every device there is, each with an element of its own; voxels of another one are refused. */
TEST(devices)
{
    GstElement *stranger = gst_bin_new(NULL);
    struct gst_spconv_cuda *first = gst_spconv_cuda_new(stranger);
    GstHarness *h[8];
    GstBus *bus[8];
    int count = 0, i;

    CHECK(!cudaGetDeviceCount(&count) && count > 0);
    count = MIN(count, 8);
    for (i = 0; i < count; i++) {
        gchar *properties = g_strdup_printf("inflight=2 cuda-device-id=%d", i);

        h[i] = gpu_harness("tiny.onnx", properties, &bus[i]);
        gst_harness_set_sink_caps_str(h[i], CUDA_BEV);
        gst_harness_set_src_caps_str(h[i], CUDA_VOXELS);
        g_free(properties);
    }
    for (i = 0; i < 4 * count; i++) {
        share_context(h[i % count]);
        CHECK_INT(gst_harness_push(h[i % count], cuda_frame(cuda, "tiny.some")), GST_FLOW_OK);
    }
    for (i = 0; i < 4 * count; i++)
        pull_and_check(h[i % count], TRUE, "tiny.some.npy");
    CHECK(gst_spconv_cuda_open(first, 0));
    for (i = 0; i < count; i++) {
        CHECK_INT(gst_harness_push(h[i], cuda_frame(first, "tiny.some")),
                  i ? GST_FLOW_ERROR : GST_FLOW_OK);
        if (i)
            CHECK_ERROR(bus[i], GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
                        "set cuda-device-id to the same");
        else
            pull_and_check(h[i], TRUE, "tiny.some.npy");
        check_no_error(bus[i]);
        harness_free(h[i], bus[i]);
    }
    gst_spconv_cuda_free(&first);
    gst_object_unref(stranger);
}

TEST(no_such_device)
{
    GstElement *element = g_object_new(GST_TYPE_SPCONV_INFER, "cuda-device-id", 99, NULL);
    gchar *path = golden_path("models", "tiny.onnx");
    GstBus *bus = gst_bus_new();

    gst_object_ref_sink(element);
    gst_element_set_bus(element, bus);
    g_object_set(element, "model-file", path, NULL);
    gst_util_set_object_arg(G_OBJECT(element), "backend", "cuda");
    CHECK_INT(gst_element_set_state(element, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    CHECK_ERROR(bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND, "99");
    gst_element_set_state(element, GST_STATE_NULL);
    gst_element_set_bus(element, NULL);
    gst_object_unref(element);
    gst_object_unref(bus);
    g_free(path);
}

TEST(state_cycles)
{
    GstBus *bus;
    GstHarness *h = gpu_harness("tiny.onnx", "inflight=2", &bus);
    GstSegment segment;
    gint i, j;

    gst_harness_set_sink_caps_str(h, CUDA_BEV);
    gst_harness_set_src_caps_str(h, CUDA_VOXELS);
    for (i = 0; i < 3; i++) {
        share_context(h);
        for (j = 0; j < 5; j++)
            CHECK_INT(gst_harness_push(h, cuda_frame(cuda, "tiny.some")), GST_FLOW_OK);
        CHECK_INT(gst_element_set_state(h->element, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
        CHECK_INT(gst_element_set_state(h->element, GST_STATE_PLAYING), GST_STATE_CHANGE_SUCCESS);
        gst_segment_init(&segment, GST_FORMAT_TIME);
        gst_harness_push_event(h, gst_event_new_stream_start("again"));
        gst_harness_set_src_caps_str(h, CUDA_VOXELS);
        gst_harness_push_event(h, gst_event_new_segment(&segment));
    }
    check_no_error(bus);
    harness_free(h, bus);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    open_context();
    RUN(frames);
    RUN(renegotiation);
    RUN(over_the_bound);
    RUN(empty_frames);
    RUN(sparse_output);
    RUN(streams);
    RUN(other_context);
    RUN(devices);
    RUN(no_such_device);
    RUN(state_cycles);
    close_context();
    return test_result();
}
