/* SPDX-License-Identifier: MIT */
/* Recorded sequences, see gstlidarsequence.h. */
#include "gstlidarsequence.h"

#include <glib/gstdio.h>
#include <string.h>

#include "gstlidarfiles.h"
#include "gstspconverror.h"
#include "gstspconvframes.h"
#include "gstspconvpoints.h"

/* The engine's failure as GStreamer's. */
static void set_error(GError **error, const gchar *path, const struct spc_error *failed)
{
    gint code = failed->status == SPC_ERR_ARGUMENT       ? GST_RESOURCE_ERROR_SETTINGS
                : failed->status != SPC_ERR_IO           ? GST_RESOURCE_ERROR_READ
                : !g_file_test(path, G_FILE_TEST_EXISTS) ? GST_RESOURCE_ERROR_NOT_FOUND
                                                         : GST_RESOURCE_ERROR_OPEN_READ;

    g_set_error_literal(error, GST_RESOURCE_ERROR, code, failed->message);
}

static gboolean load(struct gst_lidar_sequence *sequence, guint number,
                     struct gst_lidar_frame *frame, GError **error)
{
    const gchar *path = g_ptr_array_index(sequence->files, number);
    struct spc_error failed;
    enum spc_status status;

    if (sequence->indices)
        status = gst_lidar_load_voxels(path, g_ptr_array_index(sequence->indices, number),
                                       sequence->allocator, frame, &failed);
    else
        status = gst_lidar_load_points(path, sequence->num_fields, sequence->file_type,
                                       sequence->allocator, frame, &failed);
    if (status)
        set_error(error, path, &failed);
    return !status;
}

static gboolean open_times(struct gst_lidar_sequence *sequence, const gchar *path, GError **error)
{
    guint count = sequence->files->len;

    sequence->times = gst_lidar_times_read(path, count, error);
    if (!sequence->times)
        return FALSE;
    sequence->last_duration = count > 1
                                  ? sequence->times[count - 1] - sequence->times[count - 2]
                                  : gst_spconv_frame_time(1, sequence->fps_n, sequence->fps_d);
    sequence->fps_n = 0; /* varies */
    sequence->fps_d = 1;
    return TRUE;
}

static gboolean open_indices(struct gst_lidar_sequence *sequence,
                             const struct gst_lidar_file_settings *settings, GError **error)
{
    sequence->indices = gst_lidar_files_expand("indices-location", settings->indices_location,
                                               settings->start_index, settings->stop_index, error);
    if (!sequence->indices)
        return FALSE;
    if (sequence->indices->len == sequence->files->len)
        return TRUE;
    g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
                "location=%s means %u files, indices-location=%s means %u: there must be one for "
                "one",
                settings->location, sequence->files->len, settings->indices_location,
                sequence->indices->len);
    return FALSE;
}

/* How many fields the names in `text` are; 0 for no text. */
static gboolean count_fields(const gchar *text, guint *count, GError **error)
{
    struct gst_spconv_fields fields;
    GError *failed = NULL;

    *count = 0;
    if (!text || !*text)
        return TRUE;
    if (!gst_spconv_fields_packed(&fields, text, &failed)) {
        g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS, "fields=%s: %s", text,
                    failed->message);
        g_error_free(failed);
        return FALSE;
    }
    *count = fields.count;
    return TRUE;
}

/* Every frame must be what the caps say, and those come from the first and from max-voxels. */
static gboolean check_frame(const struct gst_lidar_sequence *sequence, guint number,
                            const struct gst_lidar_frame *frame, GError **error)
{
    if (sequence->max_rows && frame->rows > sequence->max_rows) {
        g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
                    "%s has %" G_GINT64_FORMAT " voxels, max-voxels allows %" G_GINT64_FORMAT,
                    (const gchar *)g_ptr_array_index(sequence->files, number), frame->rows,
                    sequence->max_rows);
        return FALSE;
    }
    if (frame->num_fields == sequence->num_fields && frame->type == sequence->frame.type)
        return TRUE;
    g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ,
                "%s has %u %s columns, the first frame has %u %s ones",
                (const gchar *)g_ptr_array_index(sequence->files, number), frame->num_fields,
                spc_dtype_name(frame->type), sequence->num_fields,
                spc_dtype_name(sequence->frame.type));
    return FALSE;
}

static gboolean open_first(struct gst_lidar_sequence *sequence, GError **error)
{
    guint expected = sequence->num_fields;

    if (!load(sequence, 0, &sequence->frame, error))
        return FALSE;
    sequence->kept = 0;
    sequence->num_fields = sequence->frame.num_fields;
    if (!expected || expected == sequence->num_fields)
        return check_frame(sequence, 0, &sequence->frame, error);
    g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
                "%s has %u columns, fields names %u",
                (const gchar *)g_ptr_array_index(sequence->files, 0), sequence->num_fields,
                expected);
    return FALSE;
}

gboolean gst_lidar_sequence_open(struct gst_lidar_sequence *sequence,
                                 const struct gst_lidar_file_settings *settings, GError **error)
{
    *sequence = (struct gst_lidar_sequence){
        .fps_n = settings->rate_n,
        .fps_d = settings->rate_d,
        .loop = settings->loop,
        .file_type = settings->field_type,
        .max_rows = settings->indices_location ? settings->max_voxels : 0,
        .kept = -1,
    };
    sequence->files = gst_lidar_files_expand("location", settings->location, settings->start_index,
                                             settings->stop_index, error);
    if (sequence->files && count_fields(settings->fields, &sequence->num_fields, error) &&
        (!settings->indices_location || open_indices(sequence, settings, error)) &&
        (!settings->timestamps_location ||
         open_times(sequence, settings->timestamps_location, error)) &&
        open_first(sequence, error))
        return TRUE;
    gst_lidar_sequence_close(sequence);
    return FALSE;
}

void gst_lidar_sequence_close(struct gst_lidar_sequence *sequence)
{
    g_clear_pointer(&sequence->files, g_ptr_array_unref);
    g_clear_pointer(&sequence->indices, g_ptr_array_unref);
    g_clear_pointer(&sequence->times, g_free);
    gst_clear_object(&sequence->allocator);
    gst_lidar_frame_clear(&sequence->frame);
}

gint64 gst_lidar_sequence_total(const struct gst_lidar_sequence *sequence)
{
    return sequence->loop ? -1 : (gint64)sequence->files->len;
}

/* ------------------------------------------------------------------ time --------------------- */

static GstClockTime total_time(const struct gst_lidar_sequence *sequence)
{
    return sequence->times[sequence->files->len - 1] + sequence->last_duration;
}

GstClockTime gst_lidar_sequence_time_of(const struct gst_lidar_sequence *sequence, guint64 frame)
{
    guint count = sequence->files->len;

    if (!sequence->times)
        return gst_spconv_frame_time(frame, sequence->fps_n, sequence->fps_d);
    return frame / count * total_time(sequence) + sequence->times[frame % count];
}

guint64 gst_lidar_sequence_frame_at(const struct gst_lidar_sequence *sequence, GstClockTime time)
{
    guint count = sequence->files->len, low = 0, high = count;
    guint64 turns;

    if (!sequence->times)
        return gst_spconv_frame_at(time, sequence->fps_n, sequence->fps_d);
    turns = time / total_time(sequence);
    time %= total_time(sequence);
    while (high - low > 1) {
        guint middle = low + (high - low) / 2;

        if (sequence->times[middle] <= time)
            low = middle;
        else
            high = middle;
    }
    return turns * count + low;
}

/* ------------------------------------------------------------------ frames ------------------- */

void gst_lidar_sequence_use(struct gst_lidar_sequence *sequence, GstAllocator *allocator)
{
    if (gst_object_replace((GstObject **)&sequence->allocator, GST_OBJECT(allocator)))
        sequence->kept = -1;
}

GstBuffer *gst_lidar_sequence_read(struct gst_lidar_sequence *sequence, guint64 number,
                                   GError **error)
{
    guint at = (guint)(number % sequence->files->len);
    struct gst_lidar_frame frame = {0};

    if (sequence->kept != at) {
        if (!load(sequence, at, &frame, error))
            return NULL;
        if (!check_frame(sequence, at, &frame, error)) {
            gst_lidar_frame_clear(&frame);
            return NULL;
        }
        gst_lidar_frame_clear(&sequence->frame);
        sequence->frame = frame;
        sequence->kept = at;
    }
    if (!sequence->frame.buffer)
        return gst_buffer_new();
    return gst_buffer_copy_region(sequence->frame.buffer, GST_BUFFER_COPY_MEMORY, 0, (gsize)-1);
}

gint64 gst_lidar_sequence_max_rows(const struct gst_lidar_sequence *sequence)
{
    gsize row = sequence->num_fields * spc_dtype_size(sequence->frame.type);
    gint64 most = sequence->frame.rows;

    for (guint i = 0; i < sequence->files->len && sequence->files->len > 1; i++) {
        GStatBuf info;

        if (!g_stat(g_ptr_array_index(sequence->files, i), &info))
            most = MAX(most, (gint64)info.st_size / (gint64)row);
    }
    return CLAMP(most, 1, G_MAXINT32);
}
