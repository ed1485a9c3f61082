/* SPDX-License-Identifier: MIT */
/*
 * lidarframe.h - a frame of the simulated sensor: one turn, or several accumulated ("sweeps").
 *
 * Nothing here knows GStreamer. Thread-safety: a simulator belongs to one thread at a time.
 */
#ifndef LIDAR_FRAME_H
#define LIDAR_FRAME_H

#include "lidarsensor.h"

#define LIDAR_MAX_COLUMNS 16

struct lidar_frame_params {
    enum lidar_pattern pattern;
    float sensor_height;            /* metres above the ground */
    int sweeps;                     /* turns that a frame holds, the newest first; at least 1 */
    struct lidar_scan scan;         /* its seed is the stream's */
    int num_columns;                /* what a record holds: */
    int columns[LIDAR_MAX_COLUMNS]; /* lidar_frame_column() each */
};

/* Number of the column "x", "y", "z", "intensity", "time" or "ring"; -1 for another name. */
int lidar_frame_column(const char *name);

/* Most points that a frame of these parameters has. */
size_t lidar_frame_max_points(const struct lidar_frame_params *params);

struct lidar_simulator;

/* NULL where memory is short. */
struct lidar_simulator *lidar_simulator_create(void);
void lidar_simulator_free(struct lidar_simulator **simulator);

/* Simulate frame `number`. Earlier sweeps are moved into the newest one's frame of reference, and
 * their time says by how much they are older. `points` has room for lidar_frame_max_points()
 * records of num_columns floats. Returns the number of records; -1 where memory is short. */
int64_t lidar_simulator_run(struct lidar_simulator *simulator,
                            const struct lidar_frame_params *params, int64_t number, float *points);

#endif
