/* SPDX-License-Identifier: MIT */
/* Turns, accumulated and packed: see lidarframe.h. */
#include "lidarframe.h"

#include <stdlib.h>
#include <string.h>

struct lidar_simulator {
    struct lidar_scene scene;
    struct lidar_scan_scratch scratch;
    struct lidar_return *returns; /* of one turn */
    size_t capacity;
};

int lidar_frame_column(const char *name)
{
    static const char *const names[] = {"x", "y", "z", "intensity", "time", "ring"};

    for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++)
        if (!strcmp(names[i], name))
            return i;
    return -1;
}

static size_t rays_per_turn(const struct lidar_scan *scan)
{
    return (size_t)scan->azimuth_steps * lidar_sensor_get_info(scan->sensor)->num_beams;
}

size_t lidar_frame_max_points(const struct lidar_frame_params *params)
{
    return rays_per_turn(&params->scan) * params->sweeps;
}

struct lidar_simulator *lidar_simulator_create(void)
{
    return calloc(1, sizeof(struct lidar_simulator));
}

void lidar_simulator_free(struct lidar_simulator **simulator)
{
    if (*simulator)
        free((*simulator)->returns);
    free(*simulator);
    *simulator = NULL;
}

static bool reserve(struct lidar_simulator *simulator, size_t rays)
{
    if (simulator->capacity < rays) {
        free(simulator->returns);
        simulator->returns = malloc(rays * sizeof(*simulator->returns));
        simulator->capacity = simulator->returns ? rays : 0;
    }
    return simulator->returns != NULL;
}

/* Write returns as records, moved by `shift` along x; returns the end of what was written. */
static float *pack(const struct lidar_frame_params *params, const struct lidar_return *returns,
                   size_t count, float shift, float older, float *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct lidar_return *r = &returns[i];
        const float values[] = {r->x + shift, r->y, r->z, r->intensity, r->time + older, r->ring};

        for (int c = 0; c < params->num_columns; c++)
            *out++ = values[params->columns[c]];
    }
    return out;
}

int64_t lidar_simulator_run(struct lidar_simulator *simulator,
                            const struct lidar_frame_params *params, int64_t number, float *points)
{
    struct lidar_scene *scene = &simulator->scene;
    struct lidar_scan scan = params->scan;
    double turn = scan.seconds_per_turn, travelled = 0;
    float *out = points;

    if (!reserve(simulator, rays_per_turn(&scan)))
        return -1;
    for (int k = 0; k < params->sweeps; k++) {
        size_t count;

        lidar_scene_at(scene, params->pattern, params->scan.seed, turn * (double)(number - k),
                       params->sensor_height, scan.range_max);
        if (k == 0)
            travelled = scene->travelled;
        scan.seed = lidar_hash(params->scan.seed, (uint64_t)(number - k));
        count = lidar_scan_turn(&scan, scene, &simulator->scratch, simulator->returns);
        out = pack(params, simulator->returns, count, (float)(scene->travelled - travelled),
                   (float)(turn * k), out);
    }
    return (out - points) / params->num_columns;
}
