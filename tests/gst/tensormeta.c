/* SPDX-License-Identifier: MIT */
/* The GstTensorMeta on dense outputs of spconvinfer; built where GStreamer has it (1.26). */
#include <gst/analytics/gsttensor.h>
#include <gst/analytics/gsttensormeta.h>

#include "gst_test.h"

#define LAUNCH "spconvinfer backend=cpu threads=1 model-file=%s "

static guint count_metas(GstBuffer *buffer)
{
    gpointer state = NULL;
    guint count = 0;

    while (gst_buffer_iterate_meta_filtered(buffer, &state, GST_TENSOR_META_API_TYPE))
        count++;
    return count;
}

/* One tensor, [1][24][8][8], in the buffer's own memory. */
static void check_meta(GstBuffer *buffer, GstTensorDataType type)
{
    static const gsize dims[] = {1, 24, 8, 8};
    const GstTensor *tensor;
    GstTensorMeta *meta;
    gsize i;

    CHECK_INT(count_metas(buffer), 1);
    meta = gst_buffer_get_tensor_meta(buffer);
    REQUIRE(meta);
    REQUIRE(meta->num_tensors == 1);
    CHECK_INT(gst_tensor_meta_get_index_from_id(
                  meta, g_quark_from_static_string("spconv-bev-features-v1")),
              0);
    tensor = gst_tensor_meta_get(meta, 0);
    CHECK_INT(tensor->data_type, type);
    CHECK_INT(tensor->layout, GST_TENSOR_LAYOUT_CONTIGUOUS);
    CHECK_INT(tensor->dims_order, GST_TENSOR_DIM_ORDER_ROW_MAJOR);
    REQUIRE(tensor->num_dims == G_N_ELEMENTS(dims));
    for (i = 0; i < G_N_ELEMENTS(dims); i++)
        CHECK_INT(tensor->dims[i], dims[i]);
    CHECK_INT(gst_buffer_get_size(tensor->data), gst_buffer_get_size(buffer));
    REQUIRE(gst_buffer_n_memory(tensor->data) == 1);
    CHECK(gst_buffer_peek_memory(tensor->data, 0) == gst_buffer_peek_memory(buffer, 0));
}

static void check_type(const gchar *launch, GstTensorDataType type)
{
    GstBus *bus;
    GstHarness *h = harness_new(launch, "tiny.onnx", &bus);
    GstBuffer *out;

    gst_harness_set_src_caps_str(h, TINY_CAPS);
    out = gst_harness_push_and_pull(h, golden_frame("tiny.some"));
    REQUIRE(out);
    check_meta(out, type);
    gst_buffer_unref(out);
    harness_free(h, bus);
}

TEST(types)
{
    check_type(LAUNCH, GST_TENSOR_DATA_TYPE_FLOAT32);
    check_type(LAUNCH "output-type=float16", GST_TENSOR_DATA_TYPE_FLOAT16);
}

/* The pool gives memory out again, without the meta of the frame before. */
TEST(pool)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH, "tiny.onnx", &bus);
    GHashTable *seen = g_hash_table_new(NULL, NULL);
    const gint frames = 20;
    GstBuffer *out;
    gint i;

    gst_harness_set_src_caps_str(h, TINY_CAPS);
    for (i = 0; i < frames; i++) {
        out = gst_harness_push_and_pull(h, golden_frame("tiny.some"));
        REQUIRE(out);
        check_meta(out, GST_TENSOR_DATA_TYPE_FLOAT32);
        g_hash_table_add(seen, gst_buffer_peek_memory(out, 0));
        gst_buffer_unref(out);
    }
    CHECK(g_hash_table_size(seen) < (guint)frames / 2);
    g_hash_table_unref(seen);
    harness_free(h, bus);
}

TEST(empty_frame)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH, "tiny.onnx", &bus);
    GstBuffer *out;

    gst_harness_set_src_caps_str(h, TINY_CAPS);
    CHECK(gst_harness_push_event(h, gst_event_new_gap(0, GST_SECOND)));
    out = gst_harness_try_pull(h);
    REQUIRE(out);
    CHECK(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_GAP));
    check_meta(out, GST_TENSOR_DATA_TYPE_FLOAT32);
    gst_buffer_unref(out);
    harness_free(h, bus);
}

/* Whoever keeps the tensor's data and drops the buffer keeps the values: the pool does not write
 * the next frame over them. */
TEST(data_outlives)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH, "tiny.onnx", &bus);
    guint8 before[TINY_OUT_VALUES * 4];
    GstBuffer *out, *data;

    gst_harness_set_src_caps_str(h, TINY_CAPS);
    out = gst_harness_push_and_pull(h, golden_frame("tiny.some"));
    REQUIRE(out);
    check_meta(out, GST_TENSOR_DATA_TYPE_FLOAT32);
    data = gst_buffer_ref(gst_tensor_meta_get(gst_buffer_get_tensor_meta(out), 0)->data);
    CHECK_INT(gst_buffer_extract(out, 0, before, sizeof(before)), sizeof(before));
    gst_buffer_unref(out);
    out = gst_harness_push_and_pull(h, golden_frame("tiny.one"));
    REQUIRE(out);
    CHECK(gst_buffer_memcmp(out, 0, before, sizeof(before)) != 0);
    CHECK_INT(gst_buffer_memcmp(data, 0, before, sizeof(before)), 0);
    gst_buffer_unref(out);
    harness_free(h, bus);
    CHECK_INT(gst_buffer_memcmp(data, 0, before, sizeof(before)), 0);
    gst_buffer_unref(data);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    RUN(types);
    RUN(pool);
    RUN(empty_frame);
    RUN(data_outlives);
    return test_result();
}
