/* SPDX-License-Identifier: MIT */
/* What element tests share: the bus of a harness, and frames for the model tiny.onnx. */
#ifndef SPC_GST_TEST_H
#define SPC_GST_TEST_H

#include <gst/check/gstharness.h>
#include <gst/gst.h>
#include <spc/spc.h>

#include "gstspconvvoxels.h"
#include "test.h"

/* tiny.onnx: 5 features, grid 9,32,32, range -8,-8,-2 .. 8,8,2 in voxels of 0.5 m. */
#define TINY_GRID_FIELDS                                                                           \
    "application/x-voxels,version=1,feature-type=float32,index-type=int32,grid-x=32,grid-y=32,"    \
    "grid-z=9,max-voxels=1000,batch=1"
#define TINY_CAPS TINY_GRID_FIELDS ",num-features=5,index-order=bzyx,framerate=10/1"
#define TINY_OUT_VALUES (24 * 8 * 8)

static inline gchar *golden_path(const gchar *folder, const gchar *name)
{
    return g_build_filename(g_getenv("SPC_TEST_GOLDEN"), folder, name, NULL);
}

static inline struct spc_array read_golden(const gchar *folder, const gchar *name)
{
    gchar *path = golden_path(folder, name);
    struct spc_array array = {0};
    struct spc_error error;

    if (spc_array_read(path, &array, &error))
        fprintf(stderr, "%s\n", error.message);
    CHECK(array.data != NULL);
    g_free(path);
    return array;
}

/* A launch line whose lidarfilesrc reads a frame of tiny.onnx as voxels; `rest` goes on with its
 * properties. */
static inline gchar *golden_voxels_line(const gchar *rest)
{
    gchar *features = golden_path("frames", "tiny.some.features.npy");
    gchar *indices = golden_path("frames", "tiny.some.indices.npy");
    gchar *line = g_strdup_printf("lidarfilesrc location=%s indices-location=%s grid-size=9,32,32 "
                                  "%s", features, indices, rest);

    g_free(indices);
    g_free(features);
    return line;
}

/* An element with its properties, as in a launch line; "%s" in it is the path of a golden model. */
static inline GstElement *make_element(const gchar *launch, const gchar *model)
{
    gchar *path = golden_path("models", model), *line;
    gchar **parts = g_strsplit(launch, "%s", -1);
    GstElement *element;

    line = g_strjoinv(path, parts);
    element = gst_parse_launch(line, NULL);
    CHECK(element != NULL);
    g_strfreev(parts);
    g_free(line);
    g_free(path);
    return element;
}

/* A harness around it, with a bus so that messages can be read. */
static inline GstHarness *harness_new(const gchar *launch, const gchar *model, GstBus **bus)
{
    GstElement *element = make_element(launch, model);
    GstHarness *h;

    *bus = gst_bus_new();
    gst_element_set_bus(element, *bus);
    h = gst_harness_new_with_element(element, "sink", "src");
    gst_object_unref(element);
    return h;
}

static inline void harness_free(GstHarness *h, GstBus *bus)
{
    gst_bus_set_flushing(bus, TRUE);
    gst_element_set_bus(h->element, NULL);
    gst_object_unref(bus);
    gst_harness_teardown(h);
}

/* The text of the first message of this type, "" if there is none; other messages before it are
 * taken off the bus. With `domain`, the message must be of this domain and code. */
static inline gchar *take_text(GstBus *bus, GstMessageType type, GQuark domain, gint code)
{
    GstMessage *message = gst_bus_pop_filtered(bus, type);
    GError *error = NULL;
    gchar *debug = NULL, *text;

    if (!message)
        return g_strdup("");
    if (type == GST_MESSAGE_ERROR)
        gst_message_parse_error(message, &error, &debug);
    else
        gst_message_parse_warning(message, &error, &debug);
    CHECK(error->domain == domain);
    CHECK_INT(error->code, code);
    text = g_strdup_printf("%s %s", error->message, debug ? debug : "");
    g_error_free(error);
    g_free(debug);
    gst_message_unref(message);
    return text;
}

#define CHECK_ERROR(bus, domain, code, part)                                                       \
    do {                                                                                           \
        gchar *text_ = take_text(bus, GST_MESSAGE_ERROR, domain, code);                            \
        CHECK_TEXT(text_, part);                                                                   \
        g_free(text_);                                                                             \
    } while (0)

static inline void check_no_error(GstBus *bus)
{
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);

    CHECK(!message);
    gst_clear_message(&message);
}

/* The payload of a frame from arrays [N][C] and [N][4]. */
static inline GstBuffer *voxel_buffer(const struct spc_array *features,
                                      const struct spc_array *indices)
{
    guint columns = (guint)features->dims[1];
    GstBuffer *buffer = gst_spconv_voxels_new(NULL, features->dtype, columns, features->dims[0]);
    struct gst_spconv_voxels view;

    CHECK(gst_spconv_voxels_map(&view, buffer, GST_MAP_WRITE, features->dtype, columns, NULL));
    memcpy(view.features, features->data, features->size);
    memcpy(view.indices, indices->data, indices->size);
    gst_spconv_voxels_unmap(&view);
    return buffer;
}

static inline GstBuffer *golden_frame(const gchar *stem)
{
    gchar *features_name = g_strconcat(stem, ".features.npy", NULL);
    gchar *indices_name = g_strconcat(stem, ".indices.npy", NULL);
    struct spc_array features = read_golden("frames", features_name);
    struct spc_array indices = read_golden("frames", indices_name);
    GstBuffer *buffer = voxel_buffer(&features, &indices);

    spc_array_free(&features);
    spc_array_free(&indices);
    g_free(features_name);
    g_free(indices_name);
    return buffer;
}

/* Whether `buffer` holds what a golden file of tiny.onnx's output says, as float32 or float16: no
 * value is further off than `tolerance` times the largest. */
static inline void check_tiny_values(GstBuffer *buffer, const gchar *name, gboolean half,
                                     gdouble tolerance)
{
    struct spc_array expected = read_golden("expected", name);
    const gfloat *e = expected.data;
    gfloat values[TINY_OUT_VALUES];
    gdouble largest = 0, worst = 0;
    GstMapInfo map;
    gint i;

    CHECK_INT(expected.size, sizeof(values));
    REQUIRE(buffer && gst_buffer_map(buffer, &map, GST_MAP_READ));
    REQUIRE(map.size == (half ? sizeof(values) / 2 : sizeof(values)));
    if (half)
        spc_convert_f16_to_f32((const uint16_t *)map.data, values, TINY_OUT_VALUES);
    else
        memcpy(values, map.data, sizeof(values));
    for (i = 0; i < TINY_OUT_VALUES; i++) {
        largest = MAX(largest, fabs(e[i]));
        worst = MAX(worst, fabs(e[i] - values[i]));
    }
    CHECK(largest > 0);
    CHECK_NEAR(worst / largest, 0, tolerance);
    gst_buffer_unmap(buffer, &map);
    spc_array_free(&expected);
}

/* An unsigned number of the element's `stats`. */
static inline guint64 stat_of(GstElement *element, const gchar *name)
{
    GstStructure *stats = NULL;
    guint64 value = G_MAXUINT64;

    g_object_get(element, "stats", &stats, NULL);
    CHECK(gst_structure_get_uint64(stats, name, &value));
    gst_structure_free(stats);
    return value;
}

/* A state change that fails with this error. */
static inline void check_start_fails(const gchar *launch, const gchar *model, GQuark domain,
                                     gint code, const gchar *part)
{
    GstElement *element = make_element(launch, model);
    GstBus *bus = gst_bus_new();
    gchar *text;

    gst_element_set_bus(element, bus);
    CHECK_INT(gst_element_set_state(element, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    text = take_text(bus, GST_MESSAGE_ERROR, domain, code);
    CHECK_TEXT(text, part);
    g_free(text);
    gst_element_set_state(element, GST_STATE_NULL);
    gst_element_set_bus(element, NULL);
    gst_object_unref(element);
    gst_object_unref(bus);
}

#endif
