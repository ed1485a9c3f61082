/* SPDX-License-Identifier: MIT */
/* A pipeline of tiny.onnx that is played, and what comes through a pad of it. */
#ifndef SPC_GST_TALLY_H
#define SPC_GST_TALLY_H

#include "../gst/gst_test.h"

#include "gstspconvcuda.h"

#define FRAMES 12
#define SECONDS_TO_WAIT 20

struct tally {
    GMutex lock;
    GCond changed;
    guint frames, on_device, flushes, strays;
    GstClockTime sought;   /* position of the last seek, which the next flush belongs to */
    GstClockTime expected; /* time of the next frame */
    gfloat values[FRAMES][TINY_OUT_VALUES];
};

/* Kept as the host reads it: the memory's own download, where it is the device's. */
static inline void keep_values(struct tally *tally, GstBuffer *buffer)
{
    gfloat *values = tally->values[tally->frames];
    GstMapInfo map;

    REQUIRE(gst_buffer_map(buffer, &map, GST_MAP_READ));
    if (map.size == TINY_OUT_VALUES * sizeof(gfloat))
        memcpy(values, map.data, map.size);
    else if (map.size == TINY_OUT_VALUES * sizeof(uint16_t))
        spc_convert_f16_to_f32((const uint16_t *)map.data, values, TINY_OUT_VALUES);
    else
        CHECK_INT(map.size, TINY_OUT_VALUES * sizeof(gfloat));
    gst_buffer_unmap(buffer, &map);
}

static inline GstPadProbeReturn watch(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    struct tally *tally = user;

    (void)pad;
    g_mutex_lock(&tally->lock);
    if (info->type & GST_PAD_PROBE_TYPE_BUFFER) {
        GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);

        tally->on_device += gst_spconv_cuda_is_memory(buffer);
        tally->strays += GST_BUFFER_PTS(buffer) != tally->expected;
        tally->expected = GST_BUFFER_PTS(buffer) + GST_BUFFER_DURATION(buffer);
        if (tally->frames < FRAMES)
            keep_values(tally, buffer);
        tally->frames++;
    } else if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) == GST_EVENT_FLUSH_STOP) {
        tally->flushes++;
        tally->expected = tally->sought;
    }
    g_cond_broadcast(&tally->changed);
    g_mutex_unlock(&tally->lock);
    return GST_PAD_PROBE_OK;
}

static inline struct tally *tally_new(void)
{
    struct tally *tally = g_new0(struct tally, 1);

    g_mutex_init(&tally->lock);
    g_cond_init(&tally->changed);
    return tally;
}

static inline void tally_free(struct tally *tally)
{
    g_mutex_clear(&tally->lock);
    g_cond_clear(&tally->changed);
    g_free(tally);
}

static inline void wait_for_frames(struct tally *tally, guint count)
{
    gint64 until = g_get_monotonic_time() + SECONDS_TO_WAIT * G_TIME_SPAN_SECOND;

    g_mutex_lock(&tally->lock);
    count += tally->frames;
    while (tally->frames < count && g_cond_wait_until(&tally->changed, &tally->lock, until))
        ;
    CHECK(tally->frames >= count);
    g_mutex_unlock(&tally->lock);
}

static inline void watch_pad(GstElement *pipeline, const gchar *element, const gchar *pad_name,
                      GstPadProbeCallback callback, gpointer user)
{
    GstElement *watched = gst_bin_get_by_name(GST_BIN(pipeline), element);
    GstPad *pad = gst_element_get_static_pad(watched, pad_name);

    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM |
                               GST_PAD_PROBE_TYPE_EVENT_FLUSH,
                      callback, user, NULL);
    gst_object_unref(pad);
    gst_object_unref(watched);
}

/* Until it has ended: the text of an error, "" where there was none. */
static inline gchar *play(GstElement *pipeline)
{
    GstBus *bus = gst_pipeline_get_bus(GST_PIPELINE(pipeline));
    GstMessage *message;
    GError *error = NULL;
    gchar *text = NULL;

    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    message = gst_bus_timed_pop_filtered(bus, SECONDS_TO_WAIT * GST_SECOND,
                                         GST_MESSAGE_ERROR | GST_MESSAGE_EOS);
    if (message && GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
        gst_message_parse_error(message, &error, NULL);
        text = g_strdup(error->message);
        g_error_free(error);
    }
    CHECK(message != NULL);
    gst_clear_message(&message);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(bus);
    return text ? text : g_strdup("");
}

static inline void play_to_the_end(GstElement *pipeline)
{
    gchar *text = play(pipeline);

    if (*text)
        fprintf(stderr, "%s\n", text);
    CHECK(!*text);
    g_free(text);
}

#endif
