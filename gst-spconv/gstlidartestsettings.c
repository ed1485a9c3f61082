/* SPDX-License-Identifier: MIT */
/* The properties of lidartestsrc, see gstlidartestsettings.h. */
#include "gstlidartestsettings.h"
#include "gstspconvenums.h"

#define DEFAULT_FIELDS "x,y,z,intensity,time"
#define DEFAULT_SENSOR LIDAR_SENSOR_HDL_32E
#define DEFAULT_PATTERN LIDAR_PATTERN_STREET
#define DEFAULT_NOISE 0.02f
#define DEFAULT_SENSOR_HEIGHT 1.8f
#define MAX_SWEEPS 100

enum {
    PROP_IS_LIVE = GST_LIDAR_TEST_IS_LIVE,
    PROP_SENSOR,
    PROP_PATTERN,
    PROP_SEED,
    PROP_NOISE,
    PROP_DROP_OUT,
    PROP_RATE,
    PROP_POINTS_PER_SECOND,
    PROP_RANGE_MAX,
    PROP_SENSOR_HEIGHT,
    PROP_SWEEPS,
    PROP_FIELDS,
    PROP_TIMESTAMP_OFFSET,
};

#define GST_TYPE_LIDAR_TEST_SRC_SENSOR (sensor_get_type())
static GType sensor_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        {LIDAR_SENSOR_VLP_16, "16 beams, +15 to -15 degrees, 10 Hz, 100 m", "vlp-16"},
        {LIDAR_SENSOR_HDL_32E, "32 beams, +10.67 to -30.67 degrees, 20 Hz, 80 m", "hdl-32e"},
        {LIDAR_SENSOR_HDL_64E, "64 beams, +2 to -24.33 degrees, 10 Hz, 120 m", "hdl-64e"},
        {LIDAR_SENSOR_OS1_128, "128 beams, +22.5 to -22.5 degrees, 10 Hz, 120 m", "os1-128"},
        {0, NULL, NULL},
    };

    return gst_spconv_register_enum(&type, "GstLidarTestSrcSensor", values);
}

#define GST_TYPE_LIDAR_TEST_SRC_PATTERN (pattern_get_type())
static GType pattern_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        {LIDAR_PATTERN_STREET, "A city street that the sensor drives along", "street"},
        {LIDAR_PATTERN_BOX_ROOM, "A room of 24 x 14 m and a person walking", "box-room"},
        {LIDAR_PATTERN_GROUND, "Flat ground only", "ground"},
        {LIDAR_PATTERN_EMPTY, "No returns: every frame is empty", "empty"},
        {0, NULL, NULL},
    };

    return gst_spconv_register_enum(&type, "GstLidarTestSrcPattern", values);
}

static const gsize property_offset[] = {
#define OFFSET(member) G_STRUCT_OFFSET(struct gst_lidar_test_settings, member)
    [PROP_SENSOR] = OFFSET(sensor),
    [PROP_PATTERN] = OFFSET(pattern),
    [PROP_SEED] = OFFSET(seed),
    [PROP_NOISE] = OFFSET(noise),
    [PROP_DROP_OUT] = OFFSET(drop_out),
    [PROP_RATE] = OFFSET(rate_n),
    [PROP_POINTS_PER_SECOND] = OFFSET(points_per_second),
    [PROP_RANGE_MAX] = OFFSET(range_max),
    [PROP_SENSOR_HEIGHT] = OFFSET(sensor_height),
    [PROP_SWEEPS] = OFFSET(sweeps),
    [PROP_FIELDS] = OFFSET(fields),
    [PROP_TIMESTAMP_OFFSET] = OFFSET(timestamp_offset),
#undef OFFSET
};

gpointer gst_lidar_test_settings_at(struct gst_lidar_test_settings *settings, guint id)
{
    return (guint8 *)settings + property_offset[id];
}

void gst_lidar_test_settings_init(struct gst_lidar_test_settings *settings)
{
    *settings = (struct gst_lidar_test_settings){
        .sensor = DEFAULT_SENSOR,
        .pattern = DEFAULT_PATTERN,
        .noise = DEFAULT_NOISE,
        .sensor_height = DEFAULT_SENSOR_HEIGHT,
        .rate_d = 1,
        .sweeps = 1,
        .fields = g_strdup(DEFAULT_FIELDS),
    };
}

void gst_lidar_test_settings_install(GObjectClass *klass)
{
    const GParamFlags ready = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
    const GParamFlags playing =
        G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;

#define INSTALL(id, kind, ...)                                                                     \
    g_object_class_install_property(klass, id, g_param_spec_##kind(__VA_ARGS__))
    INSTALL(PROP_SENSOR, enum, "sensor", "Sensor", "Sensor to imitate: beams, rate and range",
            GST_TYPE_LIDAR_TEST_SRC_SENSOR, DEFAULT_SENSOR, ready);
    INSTALL(PROP_PATTERN, enum, "pattern", "Pattern", "The world around the sensor",
            GST_TYPE_LIDAR_TEST_SRC_PATTERN, DEFAULT_PATTERN, playing);
    INSTALL(PROP_SEED, uint64, "seed", "Seed",
            "Chooses one of many worlds, and the noise; equal seeds give equal frames", 0,
            G_MAXUINT64, 0, playing);
    INSTALL(PROP_NOISE, float, "noise", "Noise", "Standard deviation of the ranges in metres", 0,
            10, DEFAULT_NOISE, playing);
    INSTALL(PROP_DROP_OUT, float, "drop-out", "Drop-out",
            "Share of the returns that get lost, 0 to 1", 0, 1, 0, playing);
    INSTALL(PROP_IS_LIVE, boolean, "is-live", "Is live",
            "Produce frames in real time, as a sensor does", FALSE, ready);
    g_object_class_install_property(
        klass, PROP_RATE,
        gst_param_spec_fraction("rate", "Rate",
                                "Turns (frames) per second where downstream leaves it open; 0/1: "
                                "the sensor's own",
                                0, 1, 1000, 1, 0, 1, ready));
    INSTALL(PROP_POINTS_PER_SECOND, uint, "points-per-second", "Points per second",
            "Firings per second of all beams together; 0: the sensor's own number per turn", 0,
            G_MAXUINT, 0, playing);
    INSTALL(PROP_RANGE_MAX, float, "range-max", "Largest range",
            "Distance in metres beyond which nothing returns; 0: the sensor's own", 0, 250, 0,
            playing);
    INSTALL(PROP_SENSOR_HEIGHT, float, "sensor-height", "Sensor height",
            "Height in metres above the ground, which lies at minus this z", 0.1f, 100,
            DEFAULT_SENSOR_HEIGHT, playing);
    INSTALL(PROP_SWEEPS, uint, "sweeps", "Sweeps",
            "Turns that one frame holds: the newest and those before it, moved into its frame of "
            "reference",
            1, MAX_SWEEPS, 1, playing);
    INSTALL(PROP_FIELDS, string, "fields", "Fields",
            "Names of the fields of a point, in order: x,y,z first, then any of intensity, time, "
            "ring",
            DEFAULT_FIELDS, ready);
    INSTALL(PROP_TIMESTAMP_OFFSET, int64, "timestamp-offset", "Timestamp offset",
            "Nanoseconds added to every timestamp", 0, G_MAXINT64, 0, ready);
#undef INSTALL
}
