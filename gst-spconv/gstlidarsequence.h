/* SPDX-License-Identifier: MIT */
/*
 * A recorded sequence: its files, when each frame begins, and its frames as buffers.
 *
 * Frames are numbered from 0; with `loop` numbers go on beyond the last and mean the first again.
 * Belongs to one thread at a time; the functions of time may be used from any once it is open.
 */
#ifndef GST_LIDAR_SEQUENCE_H
#define GST_LIDAR_SEQUENCE_H

#include "gstlidarfilesettings.h"
#include "gstlidarload.h"

G_BEGIN_DECLS

struct gst_lidar_sequence {
    GPtrArray *files, *indices; /* names; indices NULL for points */
    GstClockTime *times;        /* NULL: by the rate */
    GstClockTime last_duration; /* with times: of the last frame */
    gint fps_n, fps_d;
    gboolean loop;
    guint num_fields;         /* 0: take the file's own */
    enum spc_dtype file_type; /* of points, NONE: take the file's own */
    gint64 max_rows;          /* of a frame; 0: any number */
    GstAllocator *allocator;  /* of frames; NULL: any */
    gint64 kept;              /* number of the frame in `frame`; -1: none */
    struct gst_lidar_frame frame;
};

/* Find the files, read the timestamps and the first frame. On failure the sequence is empty. */
gboolean gst_lidar_sequence_open(struct gst_lidar_sequence *sequence,
                                 const struct gst_lidar_file_settings *settings, GError **error);
void gst_lidar_sequence_close(struct gst_lidar_sequence *sequence);

/* Number of frames; -1 for a loop. */
gint64 gst_lidar_sequence_total(const struct gst_lidar_sequence *sequence);

GstClockTime gst_lidar_sequence_time_of(const struct gst_lidar_sequence *sequence, guint64 frame);
/* The frame that `time` lies in; past the end, a number past the last frame's. */
guint64 gst_lidar_sequence_frame_at(const struct gst_lidar_sequence *sequence, GstClockTime time);

/* Frames are from now on in memory of `allocator` (NULL: any), as downstream may wish. */
void gst_lidar_sequence_use(struct gst_lidar_sequence *sequence, GstAllocator *allocator);
/* A new buffer with frame `number`, whose memory may be shared with others; with zero rows, a
 * buffer without memory. NULL with a GST_RESOURCE_ERROR that names the file. */
GstBuffer *gst_lidar_sequence_read(struct gst_lidar_sequence *sequence, guint64 number,
                                   GError **error);

/* A bound for the rows of any frame, from the sizes of the files. */
gint64 gst_lidar_sequence_max_rows(const struct gst_lidar_sequence *sequence);

G_END_DECLS

#endif
