/* SPDX-License-Identifier: MIT */
/* The properties of lidarfilesrc, see gstlidarfilesettings.h. */
#include "gstlidarfilesettings.h"
#include "gstspconvenums.h"

#define DEFAULT_RATE 10
#define DEFAULT_INDEX_ORDER SPC_INDEX_ZYX

enum {
    PROP_LOCATION = 1,
    PROP_INDICES_LOCATION,
    PROP_TIMESTAMPS_LOCATION,
    PROP_FIELDS,
    PROP_FIELD_TYPE,
    PROP_GRID_SIZE,
    PROP_INDEX_ORDER,
    PROP_RATE,
    PROP_START_INDEX,
    PROP_STOP_INDEX,
    PROP_MAX_VOXELS,
    PROP_LOOP,
};

#define GST_TYPE_LIDAR_FILE_SRC_FIELD_TYPE (field_type_get_type())
static GType field_type_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        {SPC_DTYPE_NONE, "As the file says; float32 where it says nothing", "auto"},
        {SPC_DTYPE_F32, "32-bit float", "float32"},
        {SPC_DTYPE_F16, "16-bit float (the points become float32)", "float16"},
        {0, NULL, NULL},
    };

    return gst_spconv_register_enum(&type, "GstLidarFileSrcFieldType", values);
}

#define GST_TYPE_LIDAR_FILE_SRC_INDEX_ORDER (index_order_get_type())
static GType index_order_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        {SPC_INDEX_ZYX, "Batch, z, y, x", "bzyx"},
        {SPC_INDEX_XYZ, "Batch, x, y, z", "bxyz"},
        {0, NULL, NULL},
    };

    return gst_spconv_register_enum(&type, "GstLidarFileSrcIndexOrder", values);
}

static const gsize property_offset[] = {
#define OFFSET(member) G_STRUCT_OFFSET(struct gst_lidar_file_settings, member)
    [PROP_LOCATION] = OFFSET(location),
    [PROP_INDICES_LOCATION] = OFFSET(indices_location),
    [PROP_TIMESTAMPS_LOCATION] = OFFSET(timestamps_location),
    [PROP_FIELDS] = OFFSET(fields),
    [PROP_FIELD_TYPE] = OFFSET(field_type),
    [PROP_GRID_SIZE] = OFFSET(grid_size),
    [PROP_INDEX_ORDER] = OFFSET(index_order),
    [PROP_RATE] = OFFSET(rate_n),
    [PROP_START_INDEX] = OFFSET(start_index),
    [PROP_STOP_INDEX] = OFFSET(stop_index),
    [PROP_MAX_VOXELS] = OFFSET(max_voxels),
    [PROP_LOOP] = OFFSET(loop),
#undef OFFSET
};

gpointer gst_lidar_file_settings_at(struct gst_lidar_file_settings *settings, guint id)
{
    return (guint8 *)settings + property_offset[id];
}

void gst_lidar_file_settings_init(struct gst_lidar_file_settings *settings)
{
    *settings = (struct gst_lidar_file_settings){
        .index_order = DEFAULT_INDEX_ORDER,
        .rate_n = DEFAULT_RATE,
        .rate_d = 1,
        .start_index = -1,
        .stop_index = -1,
    };
}

void gst_lidar_file_settings_clear(struct gst_lidar_file_settings *settings)
{
    g_free(settings->location);
    g_free(settings->indices_location);
    g_free(settings->timestamps_location);
    g_free(settings->fields);
    g_free(settings->grid_size);
}

void gst_lidar_file_settings_install(GObjectClass *klass)
{
    const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;

#define INSTALL(id, kind, ...)                                                                     \
    g_object_class_install_property(klass, id, g_param_spec_##kind(__VA_ARGS__, flags))
    INSTALL(PROP_LOCATION, string, "location", "Location",
            "A file, a pattern with one number (frame%06d.bin), or a glob (drive/*.bin): points as "
            ".bin, .npy or .tensor, or with indices-location the features of voxels as .npy or "
            ".tensor",
            NULL);
    INSTALL(PROP_INDICES_LOCATION, string, "indices-location", "Location of indices",
            "Makes this a source of voxels: file, pattern or glob of the int32 indices [N][4] "
            "that belong to the features of location",
            NULL);
    INSTALL(PROP_TIMESTAMPS_LOCATION, string, "timestamps-location", "Location of timestamps",
            "A text file with the time of each frame, one a line: seconds with a decimal point, "
            "or whole nanoseconds. The first one becomes timestamp 0. Without it, frames come at "
            "rate",
            NULL);
    INSTALL(PROP_FIELDS, string, "fields", "Fields",
            "Names of a point's fields or a voxel's features in the file's order. Raw files need "
            "it: KITTI has x,y,z,intensity, nuScenes x,y,z,intensity,ring, its merged sweeps often "
            "x,y,z,intensity,time. Not set: what the number of an array file's columns suggests",
            NULL);
    INSTALL(PROP_FIELD_TYPE, enum, "field-type", "Type of fields",
            "Type of the values in files of points", GST_TYPE_LIDAR_FILE_SRC_FIELD_TYPE,
            SPC_DTYPE_NONE);
    INSTALL(PROP_GRID_SIZE, string, "grid-size", "Grid size",
            "Cells of the voxels' grid along each axis, in the order of index-order: 41,1440,1440 "
            "is z,y,x for bzyx. Not set: what downstream expects",
            NULL);
    INSTALL(PROP_INDEX_ORDER, enum, "index-order", "Index order", "Columns of the voxels' indices",
            GST_TYPE_LIDAR_FILE_SRC_INDEX_ORDER, DEFAULT_INDEX_ORDER);
    g_object_class_install_property(klass, PROP_RATE,
                                    gst_param_spec_fraction("rate", "Rate", "Frames per second", 1,
                                                            1000, 1000, 1, DEFAULT_RATE, 1, flags));
    INSTALL(PROP_START_INDEX, int, "start-index", "First index",
            "Number of the first file of a pattern, or place of the first one of a glob, from 0; "
            "-1: the first there is",
            -1, G_MAXINT, -1);
    INSTALL(PROP_STOP_INDEX, int, "stop-index", "Last index",
            "Number of the last file of a pattern, or place of the last one of a glob; -1: the "
            "last there is",
            -1, G_MAXINT, -1);
    INSTALL(PROP_MAX_VOXELS, uint, "max-voxels", "Most voxels",
            "Most voxels of a frame, as the caps promise downstream; 0: a bound from the sizes of "
            "the files",
            0, G_MAXINT, 0);
    INSTALL(PROP_LOOP, boolean, "loop", "Loop",
            "Begin again after the last frame; timestamps go on rising", FALSE);
#undef INSTALL
}
