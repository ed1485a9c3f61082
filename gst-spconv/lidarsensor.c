/* SPDX-License-Identifier: MIT */
/* The presets, and the ray casting of a turn: see lidarsensor.h. */
#include "lidarsensor.h"

#include <math.h>

#define PI 3.14159265358979323846

static const struct lidar_sensor_info sensors[] = {
    [LIDAR_SENSOR_VLP_16] = {"vlp-16", 16, 1800, 10, 0.9f, 100},
    [LIDAR_SENSOR_HDL_32E] = {"hdl-32e", 32, 1084, 20, 0.9f, 80},
    [LIDAR_SENSOR_HDL_64E] = {"hdl-64e", 64, 2083, 10, 0.9f, 120},
    [LIDAR_SENSOR_OS1_128] = {"os1-128", 128, 1024, 10, 0.5f, 120},
};

const struct lidar_sensor_info *lidar_sensor_get_info(enum lidar_sensor sensor)
{
    return &sensors[sensor];
}

void lidar_sensor_get_beams(enum lidar_sensor sensor, float *degrees)
{
    int n = sensors[sensor].num_beams;

    for (int i = 0; i < n; i++) {
        switch (sensor) {
        case LIDAR_SENSOR_VLP_16:
            degrees[i] = -15 + 2.0f * (float)i;
            break;
        case LIDAR_SENSOR_HDL_32E:
            degrees[i] = -30.67f + (float)i * (10.67f + 30.67f) / 31;
            break;
        case LIDAR_SENSOR_HDL_64E: /* a lower block of half-degree steps, an upper one of thirds */
            degrees[i] = i < 32 ? -24.33f + (float)i / 2 : -8.33f + (float)(i - 32) / 3;
            break;
        case LIDAR_SENSOR_OS1_128:
            degrees[i] = -22.5f + (float)i * 45 / 127;
            break;
        }
    }
}

/* Angle of azimuth step `i`, which may be a fraction: from the rear, clockwise seen from above. */
static double step_angle(const struct lidar_scan *scan, double i)
{
    return PI - 2 * PI * (i + 0.5) / scan->azimuth_steps;
}

static double angle_step(const struct lidar_scan *scan, double angle)
{
    return (PI - angle) / (2 * PI) * scan->azimuth_steps - 0.5;
}

/* Centre and half width of the angle under which a solid is seen; false: from all around. */
static bool solid_angle(const struct lidar_solid *s, double *centre, double *half)
{
    double distance = hypot(s->x, s->y);
    double size = s->radius > 0 ? s->radius : hypot(s->half_length, s->half_width);

    *centre = atan2(s->y, s->x);
    if (distance > size * 1.01) {
        *half = asin(size / distance);
        return true;
    }
    return false;
}

/* The smallest range of steps that holds all corners of a box which does not surround the
 * sensor; the circle around it would be a poor bound for long walls. */
static void box_angle(const struct lidar_solid *s, double *centre, double *half)
{
    double low = 0, high = 0;

    for (int corner = 0; corner < 4; corner++) {
        double l = corner & 1 ? s->half_length : -s->half_length;
        double w = corner & 2 ? s->half_width : -s->half_width;
        double x = s->x + l * s->cos_yaw - w * s->sin_yaw;
        double y = s->y + l * s->sin_yaw + w * s->cos_yaw;
        double d = remainder(atan2(y, x) - *centre, 2 * PI);

        low = fmin(low, d);
        high = fmax(high, d);
    }
    *centre += (low + high) / 2;
    *half = (high - low) / 2;
}

static bool inside_box(const struct lidar_solid *s)
{
    return fabsf(s->x * s->cos_yaw + s->y * s->sin_yaw) <= s->half_length &&
           fabsf(s->y * s->cos_yaw - s->x * s->sin_yaw) <= s->half_width;
}

static struct lidar_sight find_sight(const struct lidar_scan *scan, const struct lidar_solid *s)
{
    struct lidar_sight all = {0, scan->azimuth_steps}, sight;
    double centre, half;
    bool outside;
    int last;

    outside = solid_angle(s, &centre, &half);
    if (s->radius > 0) {
        if (!outside)
            return all;
    } else {
        if (!outside && inside_box(s))
            return all;
        box_angle(s, &centre, &half);
    }
    sight.first = (int)floor(angle_step(scan, centre + half));
    last = (int)ceil(angle_step(scan, centre - half));
    sight.count = last - sight.first + 1;
    sight.first = (sight.first % all.count + all.count) % all.count;
    return sight.count < all.count ? sight : all;
}

static bool in_sight(const struct lidar_scan *scan, const struct lidar_sight *sight, int step)
{
    int d = step - sight->first;

    return (d < 0 ? d + scan->azimuth_steps : d) < sight->count;
}

static bool cross_cylinder(const struct lidar_solid *s, float dx, float dy, struct lidar_span *span)
{
    float along = s->x * dx + s->y * dy, across = s->x * dy - s->y * dx;
    float half2 = s->radius * s->radius - across * across, half;

    if (half2 <= 0)
        return false;
    half = sqrtf(half2);
    span->near = along - half;
    span->far = along + half;
    span->incidence = half / s->radius;
    return span->far > 0;
}

/* One pair of a box's sides: centre and half size on this axis, direction of the ray on it. */
static bool cross_slab(float centre, float half, float d, struct lidar_span *span)
{
    float a, b;

    if (fabsf(d) < 1e-9f)
        return fabsf(centre) <= half;
    a = (centre - half) / d;
    b = (centre + half) / d;
    if (fminf(a, b) > span->near) {
        span->near = fminf(a, b);
        span->incidence = fabsf(d);
    }
    span->far = fminf(span->far, fmaxf(a, b));
    return true;
}

static bool cross_box(const struct lidar_solid *s, float dx, float dy, struct lidar_span *span)
{
    span->near = -INFINITY;
    span->far = INFINITY;
    span->incidence = 1;
    return cross_slab(s->x * s->cos_yaw + s->y * s->sin_yaw, s->half_length,
                      dx * s->cos_yaw + dy * s->sin_yaw, span) &&
           cross_slab(s->y * s->cos_yaw - s->x * s->sin_yaw, s->half_width,
                      dy * s->cos_yaw - dx * s->sin_yaw, span) &&
           span->near < span->far && span->far > 0;
}

/* What stands in one azimuth, nearest first. */
static int collect_spans(const struct lidar_scan *scan, const struct lidar_scene *scene,
                         struct lidar_scan_scratch *scratch, int step, float dx, float dy)
{
    struct lidar_span *spans = scratch->spans;
    int n = 0;

    for (int i = 0; i < scene->num_solids; i++) {
        const struct lidar_solid *solid = &scene->solids[i];
        struct lidar_span span = {.solid = solid};
        int at;

        if (!in_sight(scan, &scratch->sights[i], step) ||
            !(solid->radius > 0 ? cross_cylinder(solid, dx, dy, &span)
                                : cross_box(solid, dx, dy, &span)))
            continue;
        for (at = n++; at > 0 && spans[at - 1].near > span.near; at--)
            spans[at] = spans[at - 1];
        spans[at] = span;
    }
    return n;
}

/* Horizontal distance at which a beam meets something first, and how bright that is; infinity
 * where it meets nothing. */
static float cast_beam(const struct lidar_scene *scene, const struct lidar_span *spans, int n,
                       float slope, float dx, float dy, float *brightness)
{
    float best = scene->has_ground && slope < 0 ? scene->ground / slope : INFINITY;
    const struct lidar_span *hit = NULL;
    float incidence = 0;

    for (int i = 0; i < n && spans[i].near < best; i++) {
        const struct lidar_span *s = &spans[i];
        float start = fmaxf(s->near, 0), z = start * slope, at = INFINITY;

        if (s->near > 0 && z >= s->solid->bottom && z <= s->solid->top)
            at = s->near;
        else if (z > s->solid->top && slope < 0)
            at = s->solid->top / slope;
        else if (z < s->solid->bottom && slope > 0)
            at = s->solid->bottom / slope;
        if (at < best && at <= s->far) {
            best = at;
            hit = s;
            incidence = at == s->near ? s->incidence : fabsf(slope);
        }
    }
    if (hit)
        *brightness = hit->solid->reflectivity * (0.4f + 0.6f * incidence);
    else if (best < INFINITY)
        *brightness = lidar_scene_ground_reflectivity(scene, best * dx, best * dy);
    return best;
}

/* About normal with mean 0 and deviation 1: four uniform 12-bit numbers from the low bits. */
static float about_normal(uint64_t h)
{
    int sum = 0;

    for (int i = 0; i < 4; i++)
        sum += (int)(h >> (12 * i) & 0xfff);
    return ((float)sum / 4095 - 2) * 1.7320508f;
}

/* Add what the sensor does to an ideal distance; false: no return. */
static bool measure(const struct lidar_scan *scan, const struct lidar_sensor_info *info,
                    uint64_t ray, float slant, float *distance, float *brightness)
{
    uint64_t h = lidar_hash(scan->seed, ray);
    float range = *distance * slant;

    if (!(range >= info->range_min && range <= scan->range_max) ||
        (float)(h >> 48) < scan->drop_out * 0x1p16f)
        return false;
    *distance += about_normal(h) * scan->noise / slant;
    *brightness = roundf(fminf(*brightness * (0.9f + (float)(h >> 56) * (0.2f / 255)), 255));
    return true;
}

size_t lidar_scan_turn(const struct lidar_scan *scan, const struct lidar_scene *scene,
                       struct lidar_scan_scratch *scratch, struct lidar_return *returns)
{
    const struct lidar_sensor_info *info = &sensors[scan->sensor];
    double step_time = scan->seconds_per_turn / scan->azimuth_steps;
    size_t count = 0;

    lidar_sensor_get_beams(scan->sensor, scratch->slope);
    for (int beam = 0; beam < info->num_beams; beam++) {
        double elevation = scratch->slope[beam] * PI / 180;
        scratch->slope[beam] = (float)tan(elevation);
        scratch->slant[beam] = (float)(1 / cos(elevation));
    }
    for (int i = 0; i < scene->num_solids; i++)
        scratch->sights[i] = find_sight(scan, &scene->solids[i]);

    for (int step = 0; step < scan->azimuth_steps; step++) {
        double angle = step_angle(scan, step);
        float dx = (float)cos(angle), dy = (float)sin(angle);
        float lag = (float)(step_time * (scan->azimuth_steps - 1 - step));
        int n = collect_spans(scan, scene, scratch, step, dx, dy);

        for (int beam = 0; beam < info->num_beams; beam++) {
            uint64_t ray = (uint64_t)step * LIDAR_MAX_BEAMS + (uint64_t)beam;
            float bright = 0, slope = scratch->slope[beam];
            float at = cast_beam(scene, scratch->spans, n, slope, dx, dy, &bright);

            if (measure(scan, info, ray, scratch->slant[beam], &at, &bright))
                returns[count++] = (struct lidar_return){
                    at * dx, at * dy, at * slope, bright, lag, (float)beam,
                };
        }
    }
    return count;
}
