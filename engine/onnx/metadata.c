/* SPDX-License-Identifier: MIT */
/* How the model's voxels are made: `spc.*` of metadata_props, read strictly. */
#include "onnx/loader.h"

#include "base/error.h"

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Reads exactly `count` numbers, "0.075,0.075,0.2", whatever the program's locale is. */
static bool parse_floats(const char *text, float *values, int count)
{
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    bool ok = c_locale && text[0] && !text[strspn(text, "0123456789+-.eE,")];

    for (int i = 0; i < count && ok; i++) {
        char *end;

        values[i] = strtof_l(text, &end, c_locale);
        ok = end != text && isfinite(values[i]) && *end == (i + 1 < count ? ',' : 0);
        text = end + 1;
    }
    if (c_locale)
        freelocale(c_locale);
    return ok;
}

static bool parse_voxel_size(struct spc_model_info *info, const char *text)
{
    info->has_voxel_size = true;
    if (!parse_floats(text, info->voxel_size, 3))
        return false;
    return info->voxel_size[0] > 0 && info->voxel_size[1] > 0 && info->voxel_size[2] > 0;
}

static bool parse_range(struct spc_model_info *info, const char *text)
{
    const float *range = info->range;

    info->has_range = true;
    if (!parse_floats(text, info->range, 6))
        return false;
    return range[0] < range[3] && range[1] < range[4] && range[2] < range[5];
}

/* Names of letters, digits and underscores, with single commas between them. */
static bool parse_features(struct spc_model_info *info, const char *text)
{
    size_t length = strlen(text);

    if (!length || length >= sizeof(info->features))
        return false;
    for (size_t i = 0; i < length; i++) {
        bool name = isalnum((unsigned char)text[i]) || text[i] == '_';
        bool comma = text[i] == ',' && i > 0 && text[i - 1] != ',' && i + 1 < length;

        if (!name && !comma)
            return false;
    }
    memcpy(info->features, text, length + 1);
    return true;
}

static bool parse_max_points(struct spc_model_info *info, const char *text)
{
    long long value = 0;

    info->has_max_points_per_voxel = true;
    if (!text[0] || strlen(text) > 10 || text[strspn(text, "0123456789")])
        return false;
    value = strtoll(text, NULL, 10);
    info->max_points_per_voxel = (int32_t)value;
    return value <= INT32_MAX;
}

static const struct {
    const char *key, *form;
    bool (*parse)(struct spc_model_info *info, const char *text);
} known[] = {
    {"spc.voxel_size", "three positive numbers \"x,y,z\" in metres", parse_voxel_size},
    {"spc.range", "six numbers \"xmin,ymin,zmin,xmax,ymax,zmax\" in metres", parse_range},
    {"spc.features", "names such as \"x,y,z,intensity,time\"", parse_features},
    {"spc.max_points_per_voxel", "a whole number, 0 for no limit", parse_max_points},
};

#define NUM_KNOWN (sizeof(known) / sizeof(known[0]))

static enum spc_status read_entry(struct spc__onnx_loader *loader, const char *key,
                                  const char *text, bool seen[NUM_KNOWN])
{
    for (size_t i = 0; i < NUM_KNOWN; i++) {
        if (strcmp(key, known[i].key))
            continue;
        if (seen[i])
            return spc__fail(loader->err, SPC_ERR_MODEL, "metadata %s is given twice", key);
        seen[i] = true;
        if (known[i].parse(&loader->graph->info, text))
            return SPC_OK;
        return spc__fail(loader->err, SPC_ERR_MODEL, "metadata %s is '%.100s'; it must be %s", key,
                         text, known[i].form);
    }
    if (!strncmp(key, "spc.", 4))
        spc__log(&loader->log, SPC_LOG_WARNING, "metadata %.100s is unknown and has no effect",
                 key);
    return SPC_OK;
}

/* Range over voxel size must give the grid; the grid's z may have cells more. */
static enum spc_status check_grid(const struct spc__onnx_loader *loader)
{
    const struct spc_model_info *info = &loader->graph->info;
    const int32_t *grid = loader->graph->levels[0].grid; /* z, y, x */

    if (!info->has_range || !info->has_voxel_size)
        return SPC_OK;
    for (int i = 0; i < 3; i++) {
        double cells = round(((double)info->range[i + 3] - info->range[i]) / info->voxel_size[i]);

        if (i < 2 ? cells != grid[2 - i] : cells > grid[0])
            return spc__fail(loader->err, SPC_ERR_MODEL,
                             "metadata spc.range and spc.voxel_size give %.0f cells along %c, but "
                             "the model's grid has %d",
                             cells, "xyz"[i], grid[2 - i]);
    }
    return SPC_OK;
}

static enum spc_status check_features(const struct spc__onnx_loader *loader)
{
    const char *features = loader->graph->info.features;
    int32_t channels = loader->graph->values[0].channels, names = 1;

    for (const char *c = features; *c; c++)
        names += *c == ',';
    if (!features[0] || names == channels)
        return SPC_OK;
    return spc__fail(loader->err, SPC_ERR_MODEL,
                     "metadata spc.features names %d features, but the model takes %d", names,
                     channels);
}

enum spc_status spc__onnx_read_metadata(struct spc__onnx_loader *loader,
                                        const Spc__Onnx__ModelProto *model)
{
    bool seen[NUM_KNOWN] = {false};
    enum spc_status status = SPC_OK;

    for (size_t i = 0; i < model->n_metadata_props && !status; i++) {
        const char *key = model->metadata_props[i]->key;
        const char *text = model->metadata_props[i]->value;

        if (key)
            status = read_entry(loader, key, text ? text : "", seen);
    }
    if (!status)
        status = check_grid(loader);
    return status ? status : check_features(loader);
}
