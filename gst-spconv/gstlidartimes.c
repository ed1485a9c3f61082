/* SPDX-License-Identifier: MIT */
/* The file of timestamps beside a sequence, see gstlidarfiles.h. */
#include "gstlidarfiles.h"

#include <string.h>

/* Digits of `text` up to `end` as a number; FALSE for anything else, or beyond 64 bits. */
static gboolean parse_digits(const gchar **text, const gchar *end, guint64 *value)
{
    const gchar *p = *text;

    for (*value = 0; p < end && g_ascii_isdigit(*p); p++) {
        guint digit = (guint)g_ascii_digit_value(*p);

        if (*value > (G_MAXUINT64 - digit) / 10)
            return FALSE;
        *value = *value * 10 + digit;
    }
    if (p == *text)
        return FALSE;
    *text = p;
    return TRUE;
}

/* One line, without its end. A double would lose the last 200 ns of seconds since 1970. */
static gboolean parse_line(const gchar *line, const gchar *end, gboolean seconds, guint64 *time)
{
    guint64 nanoseconds = 0, unit = GST_SECOND;

    if (!parse_digits(&line, end, time))
        return FALSE;
    if (!seconds)
        return line == end;
    if (line == end || *line++ != '.' || line == end)
        return FALSE;
    for (; line < end && g_ascii_isdigit(*line); line++) {
        unit /= 10;
        nanoseconds += unit * (guint)g_ascii_digit_value(*line);
    }
    if (line != end || *time > (G_MAXINT64 - nanoseconds) / GST_SECOND)
        return FALSE;
    *time = *time * GST_SECOND + nanoseconds;
    return TRUE;
}

static gboolean fail_line(GError **error, const gchar *path, guint line, const gchar *text)
{
    g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ, "%s, line %u: %s", path, line,
                text);
    return FALSE;
}

/* Fill `times`; returns FALSE with an error unless there are exactly `count` good lines. */
static gboolean parse_lines(const gchar *path, const gchar *text, gsize size, guint count,
                            GstClockTime *times, GError **error)
{
    const gchar *end = text + size, *next;
    gboolean seconds = FALSE;
    guint lines = 0;

    for (; text < end; text = next) {
        const gchar *stop = memchr(text, '\n', (gsize)(end - text));
        guint64 time;

        next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        if (stop > text && stop[-1] == '\r')
            stop--;
        if (lines == 0)
            seconds = memchr(text, '.', (gsize)(stop - text)) != NULL;
        if (!parse_line(text, stop, seconds, &time) || time > G_MAXINT64)
            return fail_line(error, path, lines + 1,
                             seconds ? "expected seconds with a decimal point, as in line 1"
                                     : "expected whole nanoseconds (seconds have a decimal "
                                       "point, in every line)");
        if (lines == count)
            return fail_line(error, path, lines + 1, "there are more timestamps than frames");
        times[lines++] = time;
        if (lines > 1 && time <= times[lines - 2])
            return fail_line(error, path, lines, "not later than the line before");
    }
    if (lines < count) {
        g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ,
                    "%s: %u timestamps for %u frames", path, lines, count);
        return FALSE;
    }
    return TRUE;
}

GstClockTime *gst_lidar_times_parse(const gchar *path, const gchar *text, gsize size, guint count,
                                    GError **error)
{
    GstClockTime *times = g_new(GstClockTime, MAX(count, 1)), first;

    if (!parse_lines(path, text, size, count, times, error)) {
        g_free(times);
        return NULL;
    }
    first = times[0];
    for (guint i = 0; i < count; i++)
        times[i] -= first;
    return times;
}

GstClockTime *gst_lidar_times_read(const gchar *path, guint count, GError **error)
{
    GstClockTime *times;
    GError *failed = NULL;
    gchar *text;
    gsize size;

    if (!g_file_get_contents(path, &text, &size, &failed)) {
        g_set_error(error, GST_RESOURCE_ERROR,
                    g_error_matches(failed, G_FILE_ERROR, G_FILE_ERROR_NOENT)
                        ? GST_RESOURCE_ERROR_NOT_FOUND
                        : GST_RESOURCE_ERROR_OPEN_READ,
                    "timestamps-location=%s: %s", path, failed->message);
        g_error_free(failed);
        return NULL;
    }
    times = gst_lidar_times_parse(path, text, size, count, error);
    g_free(text);
    return times;
}
