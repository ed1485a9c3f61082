/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-lidartestsrc
 * @title: lidartestsrc
 * @short_description: Synthetic spinning lidar
 *
 * lidartestsrc is to point clouds what videotestsrc is to video: it needs no sensor and no file.
 * It casts the rays of a spinning lidar into a small world with ground, houses, parked and moving
 * cars, trees and pedestrians. One buffer is one turn of the sensor.
 *
 * Points are in the sensor's frame: x front, y left, z up, in metres, the ground at minus
 * #lidartestsrc:sensor-height. `intensity` is a whole number from 0 to 255 as in nuScenes, `time`
 * is how many seconds a firing lies before the last one of the frame, `ring` counts the beams from
 * the lowest. Every field is a float32.
 *
 * A frame depends on the properties and its number alone, so that runs can be compared. Its PTS is
 * the begin of the turn; a live source has it at the turn's end and reports that as latency.
 * Frames without a return (pattern "empty") are buffers of 0 bytes.
 *
 * With #lidartestsrc:sweeps above 1 a frame holds the turns before it too, in the newest turn's
 * frame of reference, as detection models for nuScenes expect it.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 lidartestsrc num-buffers=100 ! bevrender ! videoconvert ! autovideosink
 * ]| A street, seen from above.
 * |[
 * gst-launch-1.0 lidartestsrc sensor=os1-128 pattern=box-room num-buffers=1 ! \
 *   bevrender range=14 ! videoconvert ! pngenc ! filesink location=room.png
 * ]| A picture of a room.
 *
 * Since: 0.1
 */
#include "gstlidartestsrc.h"

#include "gstspconvcaps.h"
#include "gstlidartestsettings.h"
#include "gstspconvelements.h"
#include "gstspconvframes.h"
#include "gstspconvproperties.h"
#include "gstspconvvoxels.h"
#include "lidarframe.h"

#include <string.h>

GST_DEBUG_CATEGORY_STATIC(lidar_test_src_debug);
#define GST_CAT_DEFAULT lidar_test_src_debug

struct _GstLidarTestSrc {
    GstPushSrc parent;

    struct gst_lidar_test_settings settings; /* under the object lock */

    /* streaming thread */
    struct gst_spconv_points_info info;
    GstClockTime seek_time; /* NONE: go on with `frame` */
    gint64 frame;
    struct lidar_simulator *simulator;
};

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_SPCONV_POINTS_TEMPLATE));

G_DEFINE_TYPE(GstLidarTestSrc, gst_lidar_test_src, GST_TYPE_PUSH_SRC)
GST_ELEMENT_REGISTER_DEFINE(lidartestsrc, "lidartestsrc", GST_RANK_NONE, GST_TYPE_LIDAR_TEST_SRC)

/* Firings of each beam in one turn. */
static gint azimuth_steps(const GstLidarTestSrc *self)
{
    const struct lidar_sensor_info *info = lidar_sensor_get_info(self->settings.sensor);
    guint64 steps;

    if (!self->settings.points_per_second)
        return info->azimuth_steps;
    steps = gst_util_uint64_scale_round(self->settings.points_per_second, self->info.fps_d,
                                        (guint64)self->info.fps_n * info->num_beams);
    return CLAMP(steps, 1, LIDAR_MAX_AZIMUTH_STEPS);
}

/* ------------------------------------------------------------------ negotiation -------------- */

static GstCaps *gst_lidar_test_src_get_caps(GstBaseSrc *base, GstCaps *filter)
{
    GstLidarTestSrc *self = GST_LIDAR_TEST_SRC(base);
    struct gst_spconv_points_info info = {.is_dense = TRUE};
    GstCaps *caps, *packed;

    GST_OBJECT_LOCK(self);
    info.point_step = gst_spconv_fields_packed(&info.fields, self->settings.fields, NULL);
    GST_OBJECT_UNLOCK(self);
    if (!info.point_step)
        return gst_pad_get_pad_template_caps(GST_BASE_SRC_PAD(base));
    caps = gst_spconv_points_info_to_caps(&info);
    info.packed = TRUE;
    info.point_step = gst_spconv_fields_packed(&info.fields, "x,y,z,intensity", NULL);
    packed = gst_spconv_points_info_to_caps(&info);
    gst_caps_append(caps, packed);
    gst_caps_set_simple(caps, "framerate", GST_TYPE_FRACTION_RANGE, 1, 1000, 1000, 1, NULL);
    gst_structure_set(gst_caps_get_structure(caps, 1), "framerate", GST_TYPE_FRACTION_RANGE, 1,
                      1000, 1000, 1, NULL);
    if (filter) {
        GstCaps *both = gst_caps_intersect_full(filter, caps, GST_CAPS_INTERSECT_FIRST);
        gst_caps_unref(caps);
        caps = both;
    }
    return caps;
}

static GstCaps *gst_lidar_test_src_fixate(GstBaseSrc *base, GstCaps *caps)
{
    GstLidarTestSrc *self = GST_LIDAR_TEST_SRC(base);
    GstStructure *structure;
    gint n, d;

    GST_OBJECT_LOCK(self);
    n = self->settings.rate_n ? self->settings.rate_n
                              : lidar_sensor_get_info(self->settings.sensor)->rate;
    d = self->settings.rate_n ? self->settings.rate_d : 1;
    GST_OBJECT_UNLOCK(self);
    caps = gst_caps_make_writable(gst_caps_truncate(caps));
    structure = gst_caps_get_structure(caps, 0);
    gst_structure_fixate_field_nearest_fraction(structure, "framerate", n, d);
    return GST_BASE_SRC_CLASS(gst_lidar_test_src_parent_class)->fixate(base, caps);
}

static gboolean gst_lidar_test_src_set_caps(GstBaseSrc *base, GstCaps *caps)
{
    GstLidarTestSrc *self = GST_LIDAR_TEST_SRC(base);
    struct gst_spconv_points_info info;
    GError *error = NULL;

    if (!gst_spconv_points_info_parse(&info, caps, &error)) {
        GST_ELEMENT_ERROR(self, CORE, NEGOTIATION, ("%s", error->message),
                          ("caps %" GST_PTR_FORMAT, caps));
        g_error_free(error);
        return FALSE;
    }
    GST_OBJECT_LOCK(self);
    self->info = info;
    GST_OBJECT_UNLOCK(self);
    return TRUE;
}

/* ------------------------------------------------------------------ streaming ---------------- */

static gboolean check_fields(GstLidarTestSrc *self)
{
    struct gst_spconv_fields fields;
    GError *error = NULL;

    if (!gst_spconv_fields_packed(&fields, self->settings.fields, &error)) {
        GST_ELEMENT_ERROR(self, LIBRARY, SETTINGS,
                          ("fields=%s: %s", self->settings.fields, error->message), (NULL));
        g_error_free(error);
        return FALSE;
    }
    for (guint i = 0; i < fields.count; i++) {
        gint column = lidar_frame_column(fields.field[i].name);

        if (i < 3 ? column != (gint)i : column < 0) {
            GST_ELEMENT_ERROR(self, LIBRARY, SETTINGS,
                              ("fields=%s: \"%s\" cannot be there; give x,y,z and then any of "
                               "intensity, time, ring",
                               self->settings.fields, fields.field[i].name),
                              (NULL));
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean gst_lidar_test_src_start(GstBaseSrc *base)
{
    GstLidarTestSrc *self = GST_LIDAR_TEST_SRC(base);

    self->frame = 0;
    self->seek_time = 0;
    if (!check_fields(self))
        return FALSE;
    self->simulator = lidar_simulator_create();
    return self->simulator != NULL;
}

static gboolean gst_lidar_test_src_stop(GstBaseSrc *base)
{
    GstLidarTestSrc *self = GST_LIDAR_TEST_SRC(base);

    lidar_simulator_free(&self->simulator);
    GST_OBJECT_LOCK(self);
    memset(&self->info, 0, sizeof(self->info));
    GST_OBJECT_UNLOCK(self);
    return TRUE;
}

static void get_params(GstLidarTestSrc *self, struct lidar_frame_params *params)
{
    const struct lidar_sensor_info *info;

    GST_OBJECT_LOCK(self);
    info = lidar_sensor_get_info(self->settings.sensor);
    *params = (struct lidar_frame_params){
        .pattern = self->settings.pattern,
        .sensor_height = self->settings.sensor_height,
        .sweeps = (int)self->settings.sweeps,
        .scan =
            {
                .sensor = self->settings.sensor,
                .azimuth_steps = azimuth_steps(self),
                .range_max =
                    self->settings.range_max > 0 ? self->settings.range_max : info->range_max,
                .seconds_per_turn = (double)self->info.fps_d / self->info.fps_n,
                .noise = self->settings.noise,
                .drop_out = self->settings.drop_out,
                .seed = self->settings.seed,
            },
        .num_columns = (int)self->info.fields.count,
    };
    GST_OBJECT_UNLOCK(self);
    for (int i = 0; i < params->num_columns; i++)
        params->columns[i] = lidar_frame_column(self->info.fields.field[i].name);
}

/* A buffer with the points of the current frame; NULL where memory is short. */
static GstBuffer *simulate(GstLidarTestSrc *self)
{
    struct lidar_frame_params params;
    GstAllocator *allocator;
    GstBuffer *buffer = NULL;
    GstMemory *memory;
    GstMapInfo map;
    gint64 count = -1;

    get_params(self, &params);
    gst_base_src_get_allocator(GST_BASE_SRC(self), &allocator, NULL); /* downstream's */
    memory = gst_spconv_memory_new(allocator,
                                   lidar_frame_max_points(&params) * self->info.point_step);
    gst_clear_object(&allocator);
    if (memory) {
        buffer = gst_buffer_new();
        gst_buffer_append_memory(buffer, memory);
    }
    if (buffer && gst_buffer_map(buffer, &map, GST_MAP_WRITE)) {
        count =
            lidar_simulator_run(self->simulator, &params, self->frame, (float *)(gpointer)map.data);
        gst_buffer_unmap(buffer, &map);
    }
    if (count < 0)
        gst_clear_buffer(&buffer);
    else
        gst_buffer_set_size(buffer, (gssize)count * self->info.point_step);
    return buffer;
}

static GstFlowReturn gst_lidar_test_src_create(GstPushSrc *push, GstBuffer **buffer)
{
    GstLidarTestSrc *self = GST_LIDAR_TEST_SRC(push);
    gint n = self->info.fps_n, d = self->info.fps_d;
    GstClockTime start;

    if (n <= 0)
        return GST_FLOW_NOT_NEGOTIATED;
    if (GST_CLOCK_TIME_IS_VALID(self->seek_time))
        self->frame = (gint64)gst_spconv_frame_at(self->seek_time, n, d);
    *buffer = simulate(self);
    if (!*buffer) {
        GST_ELEMENT_ERROR(self, RESOURCE, NO_SPACE_LEFT,
                          ("No memory for a frame: reduce sweeps or points-per-second"), (NULL));
        return GST_FLOW_ERROR;
    }
    start = gst_spconv_frame_time((guint64)self->frame, n, d);
    GST_BUFFER_PTS(*buffer) = start + (guint64)self->settings.timestamp_offset;
    GST_BUFFER_DURATION(*buffer) = gst_spconv_frame_time((guint64)self->frame + 1, n, d) - start;
    GST_BUFFER_OFFSET(*buffer) = (guint64)self->frame;
    GST_BUFFER_OFFSET_END(*buffer) = (guint64)self->frame + 1;
    if (GST_CLOCK_TIME_IS_VALID(self->seek_time))
        GST_BUFFER_FLAG_SET(*buffer, GST_BUFFER_FLAG_DISCONT);
    self->seek_time = GST_CLOCK_TIME_NONE;
    self->frame++;
    return GST_FLOW_OK;
}

/* A live turn can be had when it is over. */
static void gst_lidar_test_src_get_times(GstBaseSrc *base, GstBuffer *buffer, GstClockTime *start,
                                         GstClockTime *end)
{
    *start = *end = GST_CLOCK_TIME_NONE;
    if (gst_base_src_is_live(base)) {
        *start = GST_BUFFER_PTS(buffer) + GST_BUFFER_DURATION(buffer);
        *end = *start;
    }
}

static gboolean gst_lidar_test_src_is_seekable(GstBaseSrc *base)
{
    return !gst_base_src_is_live(base);
}

static gboolean gst_lidar_test_src_do_seek(GstBaseSrc *base, GstSegment *segment)
{
    GstLidarTestSrc *self = GST_LIDAR_TEST_SRC(base);

    if (segment->rate < 0) {
        GST_WARNING_OBJECT(self, "cannot play backwards");
        return FALSE;
    }
    segment->time = segment->start;
    self->seek_time = segment->position; /* the frame follows when the rate is known */
    return TRUE;
}

/* ------------------------------------------------------------------ queries ------------------ */

static GstClockTime time_of(guint64 frame, gpointer user)
{
    const struct gst_spconv_points_info *info = user;

    return gst_spconv_frame_time(frame, info->fps_n, info->fps_d);
}

static guint64 frame_at(GstClockTime time, gpointer user)
{
    const struct gst_spconv_points_info *info = user;

    return gst_spconv_frame_at(time, info->fps_n, info->fps_d);
}

static gboolean gst_lidar_test_src_query(GstBaseSrc *base, GstQuery *query)
{
    GstLidarTestSrc *self = GST_LIDAR_TEST_SRC(base);
    struct gst_spconv_points_info info;
    struct gst_spconv_timeline timeline;
    GstClockTime turn;

    GST_OBJECT_LOCK(self);
    info = self->info;
    GST_OBJECT_UNLOCK(self);
    timeline = (struct gst_spconv_timeline){time_of, frame_at, &info, base->num_buffers};
    switch (GST_QUERY_TYPE(query)) {
    case GST_QUERY_CONVERT:
    case GST_QUERY_DURATION:
        return info.fps_n > 0 && gst_spconv_timeline_query(&timeline, query);
    case GST_QUERY_LATENCY:
        if (info.fps_n <= 0)
            return FALSE;
        turn = gst_spconv_frame_time(1, info.fps_n, info.fps_d);
        /* No sensor waits, but nothing is lost here while others are slow. */
        gst_query_set_latency(query, gst_base_src_is_live(base), turn, GST_CLOCK_TIME_NONE);
        return TRUE;
    default:
        return GST_BASE_SRC_CLASS(gst_lidar_test_src_parent_class)->query(base, query);
    }
}

/* ------------------------------------------------------------------ properties --------------- */

static void gst_lidar_test_src_set_property(GObject *object, guint id, const GValue *value,
                                            GParamSpec *spec)
{
    if (id == GST_LIDAR_TEST_IS_LIVE) {
        gst_base_src_set_live(GST_BASE_SRC(object), g_value_get_boolean(value));
        return;
    }
    GST_OBJECT_LOCK(object);
    if (!gst_spconv_property_is_fixed(GST_ELEMENT(object), spec) &&
        !gst_spconv_property_store(
            gst_lidar_test_settings_at(&GST_LIDAR_TEST_SRC(object)->settings, id), value))
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    GST_OBJECT_UNLOCK(object);
}

static void gst_lidar_test_src_get_property(GObject *object, guint id, GValue *value,
                                            GParamSpec *spec)
{
    if (id == GST_LIDAR_TEST_IS_LIVE) {
        g_value_set_boolean(value, gst_base_src_is_live(GST_BASE_SRC(object)));
        return;
    }
    GST_OBJECT_LOCK(object);
    if (!gst_spconv_property_load(
            gst_lidar_test_settings_at(&GST_LIDAR_TEST_SRC(object)->settings, id), value))
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    GST_OBJECT_UNLOCK(object);
}

static void gst_lidar_test_src_finalize(GObject *object)
{
    g_free(GST_LIDAR_TEST_SRC(object)->settings.fields);
    G_OBJECT_CLASS(gst_lidar_test_src_parent_class)->finalize(object);
}

static void gst_lidar_test_src_class_init(GstLidarTestSrcClass *klass)
{
    GObjectClass *object_class = G_OBJECT_CLASS(klass);
    GstElementClass *element_class = GST_ELEMENT_CLASS(klass);
    GstBaseSrcClass *base_class = GST_BASE_SRC_CLASS(klass);

    GST_DEBUG_CATEGORY_INIT(lidar_test_src_debug, "lidartestsrc", 0, "synthetic lidar");
    object_class->set_property = gst_lidar_test_src_set_property;
    object_class->get_property = gst_lidar_test_src_get_property;
    object_class->finalize = gst_lidar_test_src_finalize;
    gst_lidar_test_settings_install(object_class);

    gst_element_class_set_static_metadata(
        element_class, "Lidar test source", "Source/Lidar",
        "Simulates a spinning lidar in a street, a room or a plain: point clouds without a sensor. "
        "Example: gst-launch-1.0 lidartestsrc num-buffers=100 ! bevrender ! videoconvert ! "
        "autovideosink",
        GST_SPCONV_AUTHOR);
    gst_element_class_add_static_pad_template(element_class, &src_template);

    base_class->get_caps = gst_lidar_test_src_get_caps;
    base_class->fixate = gst_lidar_test_src_fixate;
    base_class->set_caps = gst_lidar_test_src_set_caps;
    base_class->start = gst_lidar_test_src_start;
    base_class->stop = gst_lidar_test_src_stop;
    base_class->get_times = gst_lidar_test_src_get_times;
    base_class->is_seekable = gst_lidar_test_src_is_seekable;
    base_class->do_seek = gst_lidar_test_src_do_seek;
    base_class->query = gst_lidar_test_src_query;
    GST_PUSH_SRC_CLASS(klass)->create = gst_lidar_test_src_create;
}

static void gst_lidar_test_src_init(GstLidarTestSrc *self)
{
    gst_lidar_test_settings_init(&self->settings);
    gst_base_src_set_format(GST_BASE_SRC(self), GST_FORMAT_TIME);
}
