/* SPDX-License-Identifier: MIT */
/*
 * lidarscene.h - a small synthetic world for the test source: ground, walls, cars, pedestrians.
 *
 * The world consists of vertical prisms (boxes and cylinders) on a flat ground. It is endless: what
 * stands at a place follows from the seed and the place alone, so the state at any time is had
 * without the states before. Lengths are metres, times seconds. The frame is the sensor's: origin
 * at the sensor, x front, y left, z up; the ground lies at z = -sensor height.
 *
 * Nothing here knows GStreamer. Thread-safety: distinct scenes may be used at the same time.
 */
#ifndef LIDAR_SCENE_H
#define LIDAR_SCENE_H

#include <stdbool.h>
#include <stdint.h>

enum lidar_pattern {
    LIDAR_PATTERN_STREET,   /* a city street that the sensor drives along */
    LIDAR_PATTERN_BOX_ROOM, /* a room with furniture and a person walking in a circle */
    LIDAR_PATTERN_GROUND,   /* flat ground only: rings */
    LIDAR_PATTERN_EMPTY,    /* nothing returns: every frame is empty */
};

/* A vertical prism: a box turned about z by (cos, sin), or a cylinder where `radius` is not 0. */
struct lidar_solid {
    float x, y;                    /* centre */
    float half_length, half_width; /* box: along and across its direction */
    float cos_yaw, sin_yaw;
    float radius;       /* cylinder */
    float bottom, top;  /* z */
    float reflectivity; /* 0 .. 255 at normal incidence */
};

#define LIDAR_MAX_SOLIDS 1024

struct lidar_scene {
    enum lidar_pattern pattern;
    bool has_ground;
    float ground;     /* z of the ground */
    float road_y;     /* y of the road's centre line; only a street has lane markings */
    double travelled; /* how far the sensor has come along x */
    int num_solids;
    struct lidar_solid solids[LIDAR_MAX_SOLIDS];
};

/* Set `scene` to the state at `seconds` (from the start of the stream). Solids beyond `reach`
 * (at most 250 m) are left out. */
void lidar_scene_at(struct lidar_scene *scene, enum lidar_pattern pattern, uint64_t seed,
                    double seconds, float sensor_height, float reach);

/* Reflectivity of the ground at (x, y): asphalt, or a lane marking on a street. */
float lidar_scene_ground_reflectivity(const struct lidar_scene *scene, float x, float y);

/* A well-mixed 64-bit value of two numbers: the source of all randomness here. */
static inline uint64_t lidar_hash(uint64_t a, uint64_t b)
{
    uint64_t h = a * 0x9e3779b97f4a7c15u ^ (b + 0x632be59bd9b4e019u) * 0xd6e8feb86659fd93u;

    h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
    h = (h ^ h >> 29) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

#endif
