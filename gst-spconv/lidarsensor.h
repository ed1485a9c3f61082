/* SPDX-License-Identifier: MIT */
/*
 * lidarsensor.h - the spinning sensors that the test source imitates, and one turn of them.
 *
 * Angles are degrees, lengths metres. Thread-safety: any thread; a scan belongs to one at a time.
 */
#ifndef LIDAR_SENSOR_H
#define LIDAR_SENSOR_H

#include "lidarscene.h"

#include <stddef.h>

enum lidar_sensor {
    LIDAR_SENSOR_VLP_16,
    LIDAR_SENSOR_HDL_32E,
    LIDAR_SENSOR_HDL_64E,
    LIDAR_SENSOR_OS1_128,
};

#define LIDAR_MAX_BEAMS 128
#define LIDAR_MAX_AZIMUTH_STEPS 8192

struct lidar_sensor_info {
    const char *name;
    int num_beams;
    int azimuth_steps; /* firings of every beam in one turn */
    int rate;          /* turns per second */
    float range_min, range_max;
};

const struct lidar_sensor_info *lidar_sensor_get_info(enum lidar_sensor sensor);

/* Elevation of the beams, lowest first: beam i is ring i. `degrees` has room for num_beams. */
void lidar_sensor_get_beams(enum lidar_sensor sensor, float *degrees);

/* A return of one beam. */
struct lidar_return {
    float x, y, z;   /* in the sensor's frame: x front, y left, z up */
    float intensity; /* whole numbers 0 .. 255, as nuScenes has them */
    float time;      /* seconds since this firing, seen from the turn's last one */
    float ring;      /* beam */
};

struct lidar_scan {
    enum lidar_sensor sensor;
    int azimuth_steps;
    float range_max;
    double seconds_per_turn;
    float noise;    /* standard deviation of the range */
    float drop_out; /* fraction of returns that are lost */
    uint64_t seed;  /* of noise and drop-out */
};

/* What a solid is to one azimuth: the stretch of horizontal distance that its footprint covers. */
struct lidar_span {
    const struct lidar_solid *solid;
    float near, far;
    float incidence; /* cosine between the ray and the side it meets */
};

/* Azimuth steps from which a solid can be seen at all. */
struct lidar_sight {
    int first, count;
};

/* Scratch memory of lidar_scan_turn(); contents mean nothing between calls. */
struct lidar_scan_scratch {
    float slope[LIDAR_MAX_BEAMS], slant[LIDAR_MAX_BEAMS]; /* tan and 1/cos of the elevations */
    struct lidar_sight sights[LIDAR_MAX_SOLIDS];
    struct lidar_span spans[LIDAR_MAX_SOLIDS];
};

/* One turn: clockwise seen from above, from the rear by left, front and right, all beams
 * at each azimuth, lowest first. The scene stands still meanwhile. A firing that meets nothing
 * gives no return. `returns` has room for azimuth_steps * num_beams.
 * Returns the number of returns. The same arguments give the same bits. */
size_t lidar_scan_turn(const struct lidar_scan *scan, const struct lidar_scene *scene,
                       struct lidar_scan_scratch *scratch, struct lidar_return *returns);

#endif
