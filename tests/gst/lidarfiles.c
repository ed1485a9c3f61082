/* SPDX-License-Identifier: MIT */
/* Locations and timestamps of lidarfilesrc, without an element. */
#include <glib/gstdio.h>

#include "gstlidarfiles.h"
#include "test.h"

static gchar *folder;

static void make(const gchar *name)
{
    gchar *path = g_build_filename(folder, name, NULL);

    CHECK(g_file_set_contents(path, "", 0, NULL));
    g_free(path);
}

/* The names that a location means, without the folder: "a b c"; or the error's message. */
static gchar *expand(const gchar *location, gint start, gint stop)
{
    gchar *path = g_build_filename(folder, location, NULL);
    GError *error = NULL;
    GPtrArray *files = gst_lidar_files_expand("location", path, start, stop, &error);
    GString *text = g_string_new(NULL);

    CHECK((files != NULL) == (error == NULL));
    for (guint i = 0; files && i < files->len; i++) {
        gchar *name = g_path_get_basename(g_ptr_array_index(files, i));

        g_string_append_printf(text, "%s%s", i ? " " : "", name);
        g_free(name);
    }
    if (error) {
        CHECK(error->domain == GST_RESOURCE_ERROR);
        g_string_append(text, error->message);
    }
    if (files)
        g_ptr_array_unref(files);
    g_clear_error(&error);
    g_free(path);
    return g_string_free(text, FALSE);
}

#define CHECK_MEANS(location, start, stop, expected)                                               \
    do {                                                                                           \
        gchar *text_ = expand(location, start, stop);                                              \
        CHECK(g_str_equal(text_, expected));                                                       \
        g_free(text_);                                                                             \
    } while (0)

#define CHECK_REFUSED(location, start, stop, part)                                                 \
    do {                                                                                           \
        gchar *text_ = expand(location, start, stop);                                              \
        CHECK_TEXT(text_, part);                                                                   \
        CHECK_TEXT(text_, "location=");                                                            \
        g_free(text_);                                                                             \
    } while (0)

TEST(natural_order)
{
    static const gchar *const sorted[] = {"", "a", "a01", "a1", "a2", "a2b", "a10", "a10b", "b"};

    for (gsize i = 0; i < G_N_ELEMENTS(sorted); i++)
        for (gsize j = 0; j < G_N_ELEMENTS(sorted); j++) {
            gint order = gst_lidar_files_compare(sorted[i], sorted[j]);

            CHECK_INT((order > 0) - (order < 0), (i > j) - (i < j));
        }
    CHECK(gst_lidar_files_compare("99999999999999999999998", "99999999999999999999999") < 0);
}

TEST(patterns)
{
    CHECK_MEANS("p%d.bin", -1, -1, "p1.bin p2.bin");
    CHECK_MEANS("p%d.bin", 2, -1, "p2.bin");
    CHECK_MEANS("p%d.bin", 4, 4, "p4.bin");
    CHECK_MEANS("z%03d.bin", -1, -1, "z000.bin z001.bin");
    CHECK_MEANS("z%03d.bin", -1, 0, "z000.bin");
    CHECK_MEANS("100%%-%d.bin", -1, -1, "100%-0.bin");
    CHECK_REFUSED("p%d.bin", 7, -1, "there is no file");
    CHECK_REFUSED("p%d.bin", 1, 4, "p3.bin");
    CHECK_REFUSED("q%06d.bin", -1, -1, "q000000.bin");
    CHECK_REFUSED("p%s.bin", -1, -1, "one number");
    CHECK_REFUSED("p%n.bin", -1, -1, "one number");
    CHECK_REFUSED("p%d%d.bin", -1, -1, "one number");
    CHECK_REFUSED("p%", -1, -1, "one number");
    CHECK_REFUSED("p%%.bin", -1, -1, "one number");
    CHECK_REFUSED("p%99999999999999999999d", -1, -1, "one number");
}

TEST(globs)
{
    CHECK_MEANS("p*.bin", -1, -1, "p1.bin p2.bin p4.bin p10.bin");
    CHECK_MEANS("p*.bin", 1, 2, "p2.bin p4.bin");
    CHECK_MEANS("p*.bin", 3, -1, "p10.bin");
    CHECK_MEANS("p[12].bin", -1, -1, "p1.bin p2.bin");
    CHECK_REFUSED("r*.bin", -1, -1, "no file matches");
    CHECK_REFUSED("p*.bin", 4, -1, "4 files match");
    CHECK_REFUSED("p*.bin", 2, 1, "4 files match");
}

TEST(single_files)
{
    CHECK_MEANS("p1.bin", -1, -1, "p1.bin");
    CHECK_MEANS("odd[1].bin", -1, -1, "odd[1].bin"); /* a file that looks like a glob */
    CHECK_MEANS("absent.bin", -1, -1, "absent.bin"); /* reading it says what is wrong */
    CHECK_REFUSED("", -1, -1, "is a folder");
}

TEST(no_location)
{
    GError *error = NULL;

    CHECK(!gst_lidar_files_expand("indices-location", NULL, -1, -1, &error));
    CHECK_TEXT(error->message, "indices-location is not set");
    g_clear_error(&error);
}

static GstClockTime *parse(const gchar *text, guint count, GError **error)
{
    return gst_lidar_times_parse("t.txt", text, strlen(text), count, error);
}

TEST(times)
{
    GstClockTime *t = parse("1533201470.448696\n1533201470.498696001\n1533201471.0\n", 3, NULL);

    REQUIRE(t != NULL);
    CHECK_INT(t[0], 0);
    CHECK_INT(t[1], 50 * GST_MSECOND + 1);
    CHECK_INT(t[2], 551304 * GST_USECOND);
    g_free(t);
    t = parse("1533201470448696000\r\n1533201470448696001", 2, NULL);
    REQUIRE(t != NULL);
    CHECK_INT(t[1], 1);
    g_free(t);
}

TEST(times_refused)
{
    static const struct {
        const gchar *text, *part;
    } cases[] = {
        {"1.0\n", "1 timestamps for 2 frames"},
        {"", "0 timestamps for 2 frames"},
        {"1.0\n2.0\n3.0\n", "line 3: there are more timestamps than frames"},
        {"1.0\n1.0\n", "line 2: not later"},
        {"2.0\n1.0\n", "line 2: not later"},
        {"1.0\n2\n", "line 2: expected seconds"},
        {"1\n2.0\n", "line 2: expected whole nanoseconds"},
        {"1.0\n\n2.0\n", "line 2: expected seconds"},
        {"one\n2\n", "line 1: expected whole nanoseconds"},
        {"-1\n2\n", "line 1: expected whole nanoseconds"},
        {" 1.0\n2.0\n", "line 1: expected seconds"},
        {"1.0 \n2.0\n", "line 1: expected seconds"},
        {"1.\n2.0\n", "line 1: expected seconds"},
        {".5\n2.0\n", "line 1: expected seconds"},
        {"1e9\n2e9\n", "line 1: expected whole nanoseconds"},
        {"nan.0\n2.0\n", "line 1: expected seconds"},
        {"99999999999999999999\n2\n", "line 1: expected whole nanoseconds"},
        {"18446744073709551615\n2\n", "line 1: expected whole nanoseconds"},
        {"9999999999999.0\n2.0\n", "line 1: expected seconds"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;

        CHECK(!parse(cases[i].text, 2, &error));
        CHECK(error && error->domain == GST_RESOURCE_ERROR);
        CHECK_TEXT(error ? error->message : "", cases[i].part);
        CHECK_TEXT(error ? error->message : "", "t.txt");
        g_clear_error(&error);
    }
}

int main(void)
{
    static const gchar *const names[] = {"p1.bin",   "p2.bin",   "p4.bin",     "p10.bin",
                                         "z000.bin", "z001.bin", "100%-0.bin", "odd[1].bin"};

    folder = g_dir_make_tmp("lidarfiles-XXXXXX", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        make(names[i]);
    RUN(natural_order);
    RUN(patterns);
    RUN(globs);
    RUN(single_files);
    RUN(no_location);
    RUN(times);
    RUN(times_refused);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        gchar *path = g_build_filename(folder, names[i], NULL);

        g_unlink(path);
        g_free(path);
    }
    g_rmdir(folder);
    g_free(folder);
    return test_result();
}
