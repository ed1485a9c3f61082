/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-lidarfilesrc
 * @title: lidarfilesrc
 * @short_description: Recorded point clouds or voxels, a file a frame
 *
 * lidarfilesrc plays one file or a numbered sequence of files. It reads points from raw records
 * (`.bin` of KITTI and nuScenes, float32 or float16), `.npy` and `.tensor` files, and with
 * #lidarfilesrc:indices-location voxels from pairs of array files.
 *
 * Frames are #lidarfilesrc:rate apart, or have the times of #lidarfilesrc:timestamps-location;
 * the framerate in the caps is 0/1 then. Seeking goes to the frame that holds the position;
 * playing backwards is not possible. Positions and durations can be asked for in time, frames
 * (default format) and percent.
 *
 * Raw files do not say what they hold, so #lidarfilesrc:fields must: `x,y,z,intensity` for KITTI,
 * `x,y,z,intensity,ring` for nuScenes. Array files without it are given names by their columns:
 * x,y,z, then intensity, time, and ring. A frame without points is a buffer of 0 bytes; a frame
 * without voxels is a GAP event.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 lidarfilesrc location="velodyne/%06d.bin" fields=x,y,z,intensity ! \
 *   bevrender ! videoconvert ! autovideosink
 * ]| KITTI's raw files, ten a second.
 * |[
 * gst-launch-1.0 lidarfilesrc location=frame.features.npy indices-location=frame.indices.npy \
 *   loop=true num-buffers=100 ! spconvinfer model-file=model.onnx ! fakesink
 * ]| One frame of voxels, a hundred times; the grid is the model's.
 *
 * Since: 0.1
 */
#include "gstlidarfilesrc.h"

#include <string.h>

#include "gstlidarsequence.h"
#include "gstspconvcaps.h"
#include "gstspconvelements.h"
#include "gstspconvframes.h"
#include "gstspconvproperties.h"
#include "gstspconvvoxels.h"

GST_DEBUG_CATEGORY_STATIC(lidar_file_src_debug);
#define GST_CAT_DEFAULT lidar_file_src_debug

struct _GstLidarFileSrc {
    GstPushSrc parent;

    struct gst_lidar_file_settings settings; /* under the object lock */

    struct gst_lidar_sequence sequence; /* between start and stop */
    GstCaps *caps;                      /* likewise, under the object lock: what it can be */
    guint64 frame;
    gboolean discont;
};

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS(GST_SPCONV_POINTS_TEMPLATE "; " GST_SPCONV_VOXELS_TEMPLATE));

G_DEFINE_TYPE(GstLidarFileSrc, gst_lidar_file_src, GST_TYPE_PUSH_SRC)
GST_ELEMENT_REGISTER_DEFINE(lidarfilesrc, "lidarfilesrc", GST_RANK_NONE, GST_TYPE_LIDAR_FILE_SRC)

/* Posts the error and takes it over. */
static void post(GstLidarFileSrc *self, GError *error)
{
    gst_element_message_full(GST_ELEMENT(self), GST_MESSAGE_ERROR, error->domain, error->code,
                             g_strdup(error->message), NULL, __FILE__, GST_FUNCTION, __LINE__);
    g_error_free(error);
}

/* ------------------------------------------------------------------ caps --------------------- */

static const gchar *default_fields(guint count)
{
    static const gchar *const names[] = {
        [3] = "x,y,z",
        [4] = "x,y,z,intensity",
        [5] = "x,y,z,intensity,time",
        [6] = "x,y,z,intensity,time,ring",
    };

    return count < G_N_ELEMENTS(names) ? names[count] : NULL;
}

static GstCaps *points_caps(const struct gst_lidar_file_settings *settings,
                            const struct gst_lidar_sequence *sequence, GError **error)
{
    struct gst_spconv_points_info info = {.fps_n = sequence->fps_n, .fps_d = sequence->fps_d};
    const gchar *names = settings->fields && *settings->fields
                             ? settings->fields
                             : default_fields(sequence->num_fields);
    GstCaps *caps;

    if (!names) {
        g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
                    "location=%s: points of %u columns; name them with fields", settings->location,
                    sequence->num_fields);
        return NULL;
    }
    info.point_step = gst_spconv_fields_packed(&info.fields, names, error);
    if (!info.point_step)
        return NULL;
    caps = gst_spconv_points_info_to_caps(&info);
    if (!strcmp(names, "x,y,z,intensity")) {
        info.packed = TRUE;
        gst_caps_append(caps, gst_spconv_points_info_to_caps(&info));
    }
    return caps;
}

/* "41,1440,1440" in the order of the indices. */
static gboolean parse_grid(const gchar *text, struct gst_spconv_voxels_info *info, GError **error)
{
    gint *zyx[] = {&info->grid_z, &info->grid_y, &info->grid_x};
    gchar **parts = g_strsplit(text, ",", 4);
    gboolean ok = g_strv_length(parts) == 3;

    for (gint i = 0; ok && i < 3; i++) {
        gint axis = info->index_order == SPC_INDEX_XYZ ? 2 - i : i;
        guint64 cells = 0;

        ok = g_ascii_string_to_unsigned(g_strstrip(parts[i]), 10, 1, G_MAXINT, &cells, NULL);
        *zyx[axis] = (gint)cells;
    }
    g_strfreev(parts);
    if (!ok)
        g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
                    "grid-size=%s: expected three positive numbers such as 41,1440,1440", text);
    return ok;
}

static GstCaps *voxels_caps(const struct gst_lidar_file_settings *settings,
                            const struct gst_lidar_sequence *sequence, GError **error)
{
    struct gst_spconv_voxels_info info = {
        .feature_type = sequence->frame.type,
        .num_features = sequence->num_fields,
        .index_order = (enum spc_index_order)settings->index_order,
        .max_voxels = settings->max_voxels ? (gint)settings->max_voxels
                                           : (gint)gst_lidar_sequence_max_rows(sequence),
        .fps_n = sequence->fps_n,
        .fps_d = sequence->fps_d,
    };
    GstCaps *caps;

    if (settings->fields)
        g_strlcpy(info.features, settings->fields, sizeof(info.features));
    if (settings->grid_size && !parse_grid(settings->grid_size, &info, error))
        return NULL;
    caps = gst_spconv_voxels_info_to_caps(&info);
    if (!settings->grid_size)
        gst_caps_set_simple(caps, "grid-x", GST_TYPE_INT_RANGE, 1, G_MAXINT, "grid-y",
                            GST_TYPE_INT_RANGE, 1, G_MAXINT, "grid-z", GST_TYPE_INT_RANGE, 1,
                            G_MAXINT, NULL);
    return caps;
}

static GstCaps *gst_lidar_file_src_get_caps(GstBaseSrc *base, GstCaps *filter)
{
    GstLidarFileSrc *self = GST_LIDAR_FILE_SRC(base);
    GstCaps *caps = NULL;

    GST_OBJECT_LOCK(self);
    if (self->caps)
        caps = gst_caps_ref(self->caps);
    GST_OBJECT_UNLOCK(self);
    if (!caps)
        caps = gst_pad_get_pad_template_caps(GST_BASE_SRC_PAD(base));
    if (filter) {
        GstCaps *both = gst_caps_intersect_full(filter, caps, GST_CAPS_INTERSECT_FIRST);
        gst_caps_unref(caps);
        caps = both;
    }
    return caps;
}

/* Everything is fixed but a grid that nobody named: guessing one would be wrong. */
static GstCaps *gst_lidar_file_src_fixate(GstBaseSrc *base, GstCaps *caps)
{
    caps = gst_caps_truncate(caps);
    if (!gst_caps_is_fixed(caps))
        GST_ELEMENT_ERROR(base, RESOURCE, SETTINGS,
                          ("The grid of the voxels is not known: set grid-size"),
                          ("caps %" GST_PTR_FORMAT, caps));
    return caps;
}

/* ------------------------------------------------------------------ streaming ---------------- */

static gboolean gst_lidar_file_src_start(GstBaseSrc *base)
{
    GstLidarFileSrc *self = GST_LIDAR_FILE_SRC(base);
    const struct gst_lidar_file_settings *settings = &self->settings;
    GstCaps *caps = NULL;
    GError *error = NULL;

    /* The settings do not change any more in this state. */
    if (gst_lidar_sequence_open(&self->sequence, settings, &error)) {
        caps = self->sequence.indices ? voxels_caps(settings, &self->sequence, &error)
                                      : points_caps(settings, &self->sequence, &error);
        if (!caps)
            gst_lidar_sequence_close(&self->sequence);
    }
    if (!caps) {
        post(self, error);
        return FALSE;
    }
    self->frame = 0;
    self->discont = TRUE;
    GST_OBJECT_LOCK(self);
    self->caps = caps;
    GST_OBJECT_UNLOCK(self);
    return TRUE;
}

static gboolean gst_lidar_file_src_stop(GstBaseSrc *base)
{
    GstLidarFileSrc *self = GST_LIDAR_FILE_SRC(base);

    GST_OBJECT_LOCK(self);
    gst_clear_caps(&self->caps);
    gst_lidar_sequence_close(&self->sequence);
    GST_OBJECT_UNLOCK(self);
    return TRUE;
}

static gboolean gst_lidar_file_src_decide_allocation(GstBaseSrc *base, GstQuery *query)
{
    GstLidarFileSrc *self = GST_LIDAR_FILE_SRC(base);
    GstAllocator *allocator = NULL;

    if (!GST_BASE_SRC_CLASS(gst_lidar_file_src_parent_class)->decide_allocation(base, query))
        return FALSE;
    if (gst_query_get_n_allocation_params(query))
        gst_query_parse_nth_allocation_param(query, 0, &allocator, NULL);
    gst_lidar_sequence_use(&self->sequence, allocator);
    gst_clear_object(&allocator);
    return TRUE;
}

static GstFlowReturn gst_lidar_file_src_create(GstPushSrc *push, GstBuffer **buffer)
{
    GstLidarFileSrc *self = GST_LIDAR_FILE_SRC(push);
    gint64 total = gst_lidar_sequence_total(&self->sequence);
    GError *error = NULL;
    GstClockTime start;

    if (total >= 0 && self->frame >= (guint64)total)
        return GST_FLOW_EOS;
    *buffer = gst_lidar_sequence_read(&self->sequence, self->frame, &error);
    if (!*buffer) {
        post(self, error);
        return GST_FLOW_ERROR;
    }
    start = gst_lidar_sequence_time_of(&self->sequence, self->frame);
    GST_BUFFER_PTS(*buffer) = start;
    GST_BUFFER_DURATION(*buffer) =
        gst_lidar_sequence_time_of(&self->sequence, self->frame + 1) - start;
    GST_BUFFER_OFFSET(*buffer) = self->frame;
    GST_BUFFER_OFFSET_END(*buffer) = self->frame + 1;
    if (self->discont)
        GST_BUFFER_FLAG_SET(*buffer, GST_BUFFER_FLAG_DISCONT);
    self->discont = FALSE;
    self->frame++;
    return GST_FLOW_OK;
}

/* An empty frame of voxels becomes a GAP event here, behind the base class, which sends the
 * segment with the first buffer only. */
static GstPadProbeReturn empty_to_gap(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    GstLidarFileSrc *self = user;
    GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);

    if (!self->sequence.indices || gst_buffer_n_memory(buffer))
        return GST_PAD_PROBE_OK;
    GST_PAD_PROBE_INFO_FLOW_RETURN(info) = gst_spconv_voxels_push_empty(pad, buffer);
    gst_buffer_unref(buffer);
    return GST_PAD_PROBE_HANDLED;
}

static gboolean gst_lidar_file_src_is_seekable(GstBaseSrc *base)
{
    (void)base;
    return TRUE;
}

static gboolean gst_lidar_file_src_do_seek(GstBaseSrc *base, GstSegment *segment)
{
    GstLidarFileSrc *self = GST_LIDAR_FILE_SRC(base);
    gint64 total = gst_lidar_sequence_total(&self->sequence);

    if (segment->rate < 0) {
        GST_WARNING_OBJECT(self, "cannot play backwards");
        return FALSE;
    }
    segment->time = segment->start;
    if (total >= 0)
        segment->duration = gst_lidar_sequence_time_of(&self->sequence, (guint64)total);
    self->frame = gst_lidar_sequence_frame_at(&self->sequence, segment->position);
    self->discont = TRUE;
    return TRUE;
}

/* ------------------------------------------------------------------ queries ------------------ */

static GstClockTime time_of(guint64 frame, gpointer user)
{
    return gst_lidar_sequence_time_of(user, frame);
}

static guint64 frame_at(GstClockTime time, gpointer user)
{
    return gst_lidar_sequence_frame_at(user, time);
}

static gboolean gst_lidar_file_src_query(GstBaseSrc *base, GstQuery *query)
{
    GstLidarFileSrc *self = GST_LIDAR_FILE_SRC(base);
    struct gst_spconv_timeline timeline = {time_of, frame_at, &self->sequence, -1};
    gboolean answered = FALSE;

    if (GST_QUERY_TYPE(query) == GST_QUERY_CONVERT || GST_QUERY_TYPE(query) == GST_QUERY_DURATION) {
        GST_OBJECT_LOCK(self);
        if (self->caps) {
            timeline.total = gst_lidar_sequence_total(&self->sequence);
            answered = gst_spconv_timeline_query(&timeline, query);
        }
        GST_OBJECT_UNLOCK(self);
    }
    return answered || GST_BASE_SRC_CLASS(gst_lidar_file_src_parent_class)->query(base, query);
}

/* ------------------------------------------------------------------ class -------------------- */

static void gst_lidar_file_src_set_property(GObject *object, guint id, const GValue *value,
                                            GParamSpec *spec)
{
    GstLidarFileSrc *self = GST_LIDAR_FILE_SRC(object);

    GST_OBJECT_LOCK(self);
    if (!gst_spconv_property_is_fixed(GST_ELEMENT(self), spec) &&
        !gst_spconv_property_store(gst_lidar_file_settings_at(&self->settings, id), value))
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    GST_OBJECT_UNLOCK(self);
}

static void gst_lidar_file_src_get_property(GObject *object, guint id, GValue *value,
                                            GParamSpec *spec)
{
    GstLidarFileSrc *self = GST_LIDAR_FILE_SRC(object);

    GST_OBJECT_LOCK(self);
    if (!gst_spconv_property_load(gst_lidar_file_settings_at(&self->settings, id), value))
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    GST_OBJECT_UNLOCK(self);
}

static void gst_lidar_file_src_finalize(GObject *object)
{
    gst_lidar_file_settings_clear(&GST_LIDAR_FILE_SRC(object)->settings);
    G_OBJECT_CLASS(gst_lidar_file_src_parent_class)->finalize(object);
}

static void gst_lidar_file_src_class_init(GstLidarFileSrcClass *klass)
{
    GObjectClass *object_class = G_OBJECT_CLASS(klass);
    GstElementClass *element_class = GST_ELEMENT_CLASS(klass);
    GstBaseSrcClass *base_class = GST_BASE_SRC_CLASS(klass);

    GST_DEBUG_CATEGORY_INIT(lidar_file_src_debug, "lidarfilesrc", 0, "recorded lidar");
    object_class->set_property = gst_lidar_file_src_set_property;
    object_class->get_property = gst_lidar_file_src_get_property;
    object_class->finalize = gst_lidar_file_src_finalize;
    gst_lidar_file_settings_install(object_class);

    gst_element_class_set_static_metadata(
        element_class, "Lidar file source", "Source/File/Lidar",
        "Plays recorded point clouds or voxels, one file a frame, with timestamps, seek and loop. "
        "Example: gst-launch-1.0 lidarfilesrc location=\"velodyne/%06d.bin\" "
        "fields=x,y,z,intensity ! bevrender ! videoconvert ! autovideosink",
        GST_SPCONV_AUTHOR);
    gst_element_class_add_static_pad_template(element_class, &src_template);

    base_class->get_caps = gst_lidar_file_src_get_caps;
    base_class->fixate = gst_lidar_file_src_fixate;
    base_class->start = gst_lidar_file_src_start;
    base_class->stop = gst_lidar_file_src_stop;
    base_class->is_seekable = gst_lidar_file_src_is_seekable;
    base_class->do_seek = gst_lidar_file_src_do_seek;
    base_class->query = gst_lidar_file_src_query;
    base_class->decide_allocation = gst_lidar_file_src_decide_allocation;
    GST_PUSH_SRC_CLASS(klass)->create = gst_lidar_file_src_create;
}

static void gst_lidar_file_src_init(GstLidarFileSrc *self)
{
    gst_lidar_file_settings_init(&self->settings);
    gst_base_src_set_format(GST_BASE_SRC(self), GST_FORMAT_TIME);
    gst_pad_add_probe(GST_BASE_SRC_PAD(self), GST_PAD_PROBE_TYPE_BUFFER, empty_to_gap, self, NULL);
}
