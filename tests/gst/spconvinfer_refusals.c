/* SPDX-License-Identifier: MIT */
/* What the element spconvinfer refuses, and how it says so. */
#include "gst_test.h"

#define LAUNCH "spconvinfer backend=cpu threads=1 model-file=%s "

/* ------------------------------------------------------------------ refusals ----------------- */

static void check_refused(const gchar *caps, const gchar *part)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH, "tiny.onnx", &bus);

    gst_harness_set_src_caps_str(h, caps);
    CHECK_INT(gst_harness_push(h, golden_frame("tiny.some")), GST_FLOW_NOT_NEGOTIATED);
    CHECK_INT(gst_harness_push(h, golden_frame("tiny.some")), GST_FLOW_NOT_NEGOTIATED);
    CHECK_ERROR(bus, GST_CORE_ERROR, GST_CORE_ERROR_NEGOTIATION, part);
    check_no_error(bus); /* said once, however often it is tried */
    harness_free(h, bus);
}

TEST(refused_caps)
{
    check_refused(TINY_GRID_FIELDS ",num-features=5,index-order=bxyz,framerate=10/1",
                  "index-order: the model says bzyx, the caps say bxyz");
    check_refused(TINY_GRID_FIELDS ",num-features=4,index-order=bzyx,framerate=10/1",
                  "num-features: the model says 5, the caps say 4");
    check_refused("application/x-voxels,version=1,feature-type=float32,index-type=int32,grid-x=9,"
                  "grid-y=32,grid-z=32,max-voxels=10,batch=1,num-features=5,index-order=bzyx,"
                  "framerate=10/1",
                  "grid (x,y,z): the model says 32,32,9, the caps say 9,32,32");
    check_refused(TINY_CAPS ",features=\"x,y,z,time,intensity\"",
                  "the model says x,y,z,intensity,time, the caps say x,y,z,time,intensity");
    check_refused(TINY_CAPS ",voxel-size-um=<500000,500000,250000>",
                  "the model says 500000,500000,500000, the caps say 500000,500000,250000");
    check_refused(
        TINY_CAPS ",range-mm=<-8000,-8000,-3000,8000,8000,1000>",
        "the model says -8000,-8000,-2000,8000,8000,2000, the caps say -8000,-8000,-3000");
    check_refused("application/x-voxels,version=1,feature-type=float32,index-type=int32,grid-x=32,"
                  "grid-y=32,grid-z=9,max-voxels=10,batch=2,num-features=5,index-order=bzyx,"
                  "framerate=10/1",
                  "batch is 2");
}

TEST(refused_downstream)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH, "tiny.onnx", &bus);

    gst_harness_set_sink_caps_str(h, "other/tensors,format=static,num_tensors=1,types=float32,"
                                     "dimensions=(string)9:9:24:1,framerate=10/1");
    gst_harness_set_src_caps_str(h, TINY_CAPS);
    CHECK_INT(gst_harness_push(h, golden_frame("tiny.some")), GST_FLOW_NOT_NEGOTIATED);
    CHECK_ERROR(bus, GST_CORE_ERROR, GST_CORE_ERROR_NEGOTIATION, "9:9:24:1");
    check_no_error(bus);
    harness_free(h, bus);
}

#ifdef HAVE_GST_CUDA
TEST(cuda_memory_on_the_cpu)
{
    GstBus *bus;
    GstHarness *h;

    check_refused("application/x-voxels(memory:CUDAMemory),version=1,feature-type=float32,"
                  "index-type=int32,grid-x=32,grid-y=32,grid-z=9,max-voxels=10,batch=1,"
                  "num-features=5,index-order=bzyx,framerate=10/1",
                  "set backend=cuda here");
    h = harness_new(LAUNCH, "tiny.onnx", &bus);
    gst_harness_set_sink_caps_str(h, "other/tensors(memory:CUDAMemory),format=static,"
                                     "num_tensors=1,types=float32,dimensions=(string)8:8:24:1,"
                                     "framerate=10/1");
    gst_harness_set_src_caps_str(h, TINY_CAPS);
    CHECK_INT(gst_harness_push(h, golden_frame("tiny.some")), GST_FLOW_NOT_NEGOTIATED);
    CHECK_ERROR(bus, GST_CORE_ERROR, GST_CORE_ERROR_NEGOTIATION, "CUDA memory needs backend=cuda");
    harness_free(h, bus);
}
#endif

/* A query names the model's wish first. */
TEST(preferred_caps)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH, "tiny.onnx", &bus);
    GstCaps *caps = gst_pad_peer_query_caps(h->srcpad, NULL);
    GstStructure *s = gst_caps_get_structure(caps, 0);
    gint value;

    CHECK(gst_caps_features_is_equal(gst_caps_get_features(caps, 0),
                                     GST_CAPS_FEATURES_MEMORY_SYSTEM_MEMORY));
    CHECK(gst_structure_get_int(s, "grid-z", &value) && value == 9);
    CHECK(g_str_equal(gst_structure_get_string(s, "features"), "x,y,z,intensity,time"));
    CHECK(gst_structure_get_int(s, "max-points-per-voxel", &value) && value == 10);
    CHECK(gst_structure_has_field(s, "range-mm") && gst_structure_has_field(s, "voxel-size-um"));
    gst_caps_unref(caps);
    harness_free(h, bus);
}

TEST(start_failures)
{
    struct spc_error why = {0};
    gint i;

    check_start_fails("spconvinfer", "tiny.onnx", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
                      "set model-file");
    check_start_fails(LAUNCH, "none.onnx", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
                      "none.onnx");
    check_start_fails(LAUNCH, "../manifest.txt", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ,
                      "manifest.txt");
    check_start_fails(LAUNCH, "../models", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ,
                      "models");
    check_start_fails(LAUNCH "output=nothing", "tiny.onnx", GST_RESOURCE_ERROR,
                      GST_RESOURCE_ERROR_SETTINGS, "no output \"nothing\"");
    check_start_fails(LAUNCH "precision=int8", "tiny.onnx", GST_RESOURCE_ERROR,
                      GST_RESOURCE_ERROR_SETTINGS, "int8");
    for (i = 0; spc_backend_name(i, &why) && strcmp(spc_backend_name(i, &why), "cuda"); i++)
        ;
    if (why.status)
        check_start_fails("spconvinfer backend=cuda model-file=%s", "tiny.onnx", GST_RESOURCE_ERROR,
                          GST_RESOURCE_ERROR_NOT_FOUND, "cuda");
}

/* ------------------------------------------------------------------ bad frames --------------- */

static void check_bad_frame(GstBuffer *frame, const gchar *part)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH, "tiny.onnx", &bus);

    gst_harness_set_src_caps_str(h, TINY_CAPS);
    CHECK_INT(gst_harness_push(h, frame), GST_FLOW_ERROR);
    CHECK_ERROR(bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, part);
    harness_free(h, bus);
}

static GstBuffer *frame_with_index(gint row, gint column, gint32 value)
{
    GstBuffer *frame = golden_frame("tiny.some");
    struct gst_spconv_voxels view;

    CHECK(gst_spconv_voxels_map(&view, frame, GST_MAP_WRITE, SPC_DTYPE_F32, 5, NULL));
    if (column < 0)
        memcpy(view.indices + 4 * row, view.indices, 4 * sizeof(gint32));
    else
        view.indices[4 * row + column] = value;
    gst_spconv_voxels_unmap(&view);
    return frame;
}

TEST(bad_frames)
{
    GstBuffer *frame = golden_frame("tiny.some");

    gst_buffer_memset(frame, 0, 0, 4);
    check_bad_frame(frame, "header");
    frame = golden_frame("tiny.some");
    gst_buffer_set_size(frame, gst_buffer_get_size(frame) - 1);
    check_bad_frame(frame, "bytes");
    check_bad_frame(gst_buffer_new(), "this buffer has 0");
    check_bad_frame(gst_buffer_new_allocate(NULL, 100, NULL), "100 bytes");
    check_bad_frame(frame_with_index(7, 1, 9), "7");
    check_bad_frame(frame_with_index(8, 3, -1), "8");
    check_bad_frame(frame_with_index(9, 0, 1), "9");
    check_bad_frame(frame_with_index(11, -1, 0), "11");
}

TEST(capacity_error)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH "max-voxels=50", "tiny.onnx", &bus);

    gst_harness_set_src_caps_str(h, TINY_CAPS);
    CHECK_INT(gst_harness_push(h, golden_frame("tiny.some")), GST_FLOW_ERROR);
    CHECK_ERROR(bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT, "50");
    harness_free(h, bus);
}

/* The warm-up is over this bound, too: that is no reason not to start. */
TEST(site_bound)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH "site-bound=3", "tiny.onnx", &bus);

    gst_harness_set_src_caps_str(h, TINY_CAPS);
    CHECK_INT(gst_harness_push(h, golden_frame("tiny.some")), GST_FLOW_ERROR);
    CHECK_ERROR(bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT, "3");
    harness_free(h, bus);
}

TEST(capacity_drop)
{
    GstBus *bus;
    GstHarness *h = harness_new(LAUNCH "max-voxels=50 overflow=drop-frame", "tiny.onnx", &bus);
    GstBuffer *out;
    gchar *text;

    gst_harness_set_src_caps_str(h, TINY_CAPS);
    CHECK_INT(gst_harness_push(h, golden_frame("tiny.some")), GST_FLOW_OK);
    CHECK_INT(gst_harness_buffers_in_queue(h), 0);
    text =
        take_text(bus, GST_MESSAGE_WARNING, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
    CHECK_TEXT(text, "50");
    g_free(text);
    CHECK_INT(stat_of(h->element, "dropped-overflow"), 1);
    CHECK_INT(stat_of(h->element, "frames"), 0);
    out = gst_harness_push_and_pull(h, golden_frame("tiny.one"));
    CHECK(GST_BUFFER_IS_DISCONT(out));
    CHECK_INT(stat_of(h->element, "frames"), 1);
    gst_buffer_unref(out);
    harness_free(h, bus);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    RUN(refused_caps);
    RUN(refused_downstream);
#ifdef HAVE_GST_CUDA
    RUN(cuda_memory_on_the_cpu);
#endif
    RUN(preferred_caps);
    RUN(start_failures);
    RUN(bad_frames);
    RUN(capacity_error);
    RUN(site_bound);
    RUN(capacity_drop);
    return test_result();
}
