/* SPDX-License-Identifier: MIT */
/* Locations and their files, see gstlidarfiles.h. */
#include "gstlidarfiles.h"

#include <glob.h>
#include <string.h>

gint gst_lidar_files_compare(const gchar *a, const gchar *b)
{
    const gchar *all_a = a, *all_b = b;

    while (*a && *b) {
        if (g_ascii_isdigit(*a) && g_ascii_isdigit(*b)) {
            gsize digits_a, digits_b;
            gint order;

            a += strspn(a, "0");
            b += strspn(b, "0");
            digits_a = strspn(a, "0123456789");
            digits_b = strspn(b, "0123456789");
            order = digits_a != digits_b ? (digits_a < digits_b ? -1 : 1) : memcmp(a, b, digits_a);
            if (order)
                return order;
            a += digits_a;
            b += digits_b;
        } else if (*a != *b) {
            break;
        } else {
            a++;
            b++;
        }
    }
    if (*a != *b)
        return (guchar)*a < (guchar)*b ? -1 : 1;
    return strcmp(all_a, all_b); /* "1" and "01" */
}

static gint compare_entries(gconstpointer a, gconstpointer b)
{
    return gst_lidar_files_compare(*(const gchar *const *)a, *(const gchar *const *)b);
}

/* ------------------------------------------------------------------ patterns ----------------- */

/* A printf pattern, taken apart: it is the user's, so printf itself does not get to see it. */
struct pattern {
    gchar *before, *after; /* with %% replaced */
    gint width;
    gboolean zeros;
};

static void pattern_clear(struct pattern *pattern)
{
    g_free(pattern->before);
    g_free(pattern->after);
}

/* Exactly one conversion %d, %5d or %05d. */
static gboolean pattern_parse(struct pattern *pattern, const gchar *text)
{
    GString *part = g_string_new(NULL);

    *pattern = (struct pattern){0};
    for (; *text; text++) {
        if (*text != '%' || text[1] == '%') {
            g_string_append_c(part, *text);
            text += *text == '%';
            continue;
        }
        if (pattern->before)
            break;
        pattern->zeros = *++text == '0';
        for (; g_ascii_isdigit(*text) && pattern->width < 100; text++)
            pattern->width = 10 * pattern->width + g_ascii_digit_value(*text);
        if (*text != 'd')
            break;
        pattern->before = g_string_free(part, FALSE);
        part = g_string_new(NULL);
    }
    pattern->after = g_string_free(part, FALSE);
    return !*text && pattern->before;
}

static gchar *pattern_name(const struct pattern *pattern, gint number)
{
    return g_strdup_printf(pattern->zeros ? "%s%0*d%s" : "%s%*d%s", pattern->before, pattern->width,
                           number, pattern->after);
}

static gboolean pattern_exists(const struct pattern *pattern, gint number)
{
    gchar *name = pattern_name(pattern, number);
    gboolean exists = g_file_test(name, G_FILE_TEST_EXISTS);

    g_free(name);
    return exists;
}

static GPtrArray *expand_pattern(const gchar *property, const gchar *location, gint start,
                                 gint stop, GError **error)
{
    GPtrArray *files = g_ptr_array_new_with_free_func(g_free);
    struct pattern pattern;

    if (!pattern_parse(&pattern, location)) {
        g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
                    "%s=%s: a pattern has one number such as %%d or %%06d (and %%%% for a "
                    "percent sign)",
                    property, location);
        pattern_clear(&pattern);
        return files;
    }
    if (start < 0)
        start = !pattern_exists(&pattern, 0) && pattern_exists(&pattern, 1);
    for (gint i = start; stop < 0 || i <= stop; i++) {
        if (!pattern_exists(&pattern, i)) {
            if (stop >= 0 || i == start) {
                gchar *name = pattern_name(&pattern, i);

                g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
                            "%s=%s: there is no file %s; check the pattern, start-index and "
                            "stop-index",
                            property, location, name);
                g_free(name);
            }
            break;
        }
        g_ptr_array_add(files, pattern_name(&pattern, i));
        if (i == G_MAXINT)
            break;
    }
    pattern_clear(&pattern);
    return files;
}

static GPtrArray *expand_glob(const gchar *property, const gchar *location, gint start, gint stop,
                              GError **error)
{
    GPtrArray *all = g_ptr_array_new_with_free_func(g_free);
    glob_t found;

    if (!glob(location, GLOB_NOSORT, NULL, &found)) {
        for (gsize i = 0; i < found.gl_pathc; i++)
            g_ptr_array_add(all, g_strdup(found.gl_pathv[i]));
        globfree(&found);
    }
    g_ptr_array_sort(all, compare_entries);
    if (!all->len)
        g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
                    "%s=%s: no file matches", property, location);
    else if (start >= (gint)all->len || (stop >= 0 && start > stop))
        g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
                    "%s=%s: %u files match, none of them from start-index=%d to stop-index=%d",
                    property, location, all->len, start, stop);
    if (stop >= 0 && stop + 1 < (gint)all->len)
        g_ptr_array_remove_range(all, (guint)stop + 1, all->len - (guint)stop - 1);
    if (start > 0 && start < (gint)all->len)
        g_ptr_array_remove_range(all, 0, (guint)start);
    return all;
}

GPtrArray *gst_lidar_files_expand(const gchar *property, const gchar *location, gint start,
                                  gint stop, GError **error)
{
    GPtrArray *files = NULL;
    GError *failed = NULL;

    if (!location || !*location) {
        g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
                    "%s is not set: give a file, a pattern such as %%06d.bin, or a glob", property);
        return NULL;
    }
    if (g_file_test(location, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
                    "%s=%s is a folder: name the files in it, such as %s/*.bin", property, location,
                    location);
        return NULL;
    }
    if (g_file_test(location, G_FILE_TEST_EXISTS) || !strpbrk(location, "%*?[")) {
        /* A name without any special sign is opened as it is, and fails there if it must. */
        files = g_ptr_array_new_with_free_func(g_free);
        g_ptr_array_add(files, g_strdup(location));
    } else if (strchr(location, '%')) {
        files = expand_pattern(property, location, start, stop, &failed);
    } else {
        files = expand_glob(property, location, start, stop, &failed);
    }
    if (failed) {
        g_propagate_error(error, failed);
        g_ptr_array_unref(files);
        return NULL;
    }
    return files;
}
