/* SPDX-License-Identifier: MIT */
/* The worlds of the test source, see lidarscene.h. */
#include "lidarscene.h"

#include <math.h>

/* Where the things of a street stand: y from the road's centre line, x by slots along it. */
#define EGO_SPEED 8.0
#define LANE_Y 1.9f
#define PARKED_Y 5.6f
#define KERB_Y 7.0f
#define FACADE_Y 11.5f
#define BLOCK 24.0
#define CROSSING_EVERY 5 /* blocks */

/* What a random number is for: one stream per kind of thing. */
enum { USE_BUILDING = 1, USE_PARKED, USE_ONCOMING, USE_AHEAD, USE_WALKER, USE_TREE };

/* A builder in world coordinates: x along the street from the start, y from its centre line, z
 * from the ground. */
struct builder {
    struct lidar_scene *scene;
    uint64_t seed;
    double origin_x, origin_y; /* the sensor in the world */
    float ground, reach;
};

/* Uniform in [0, 1), by kind of thing, slot, and which of its numbers. */
static float draw(const struct builder *b, int use, int64_t slot, int which)
{
    uint64_t h =
        lidar_hash(lidar_hash(b->seed, (uint64_t)use * 64 + (uint64_t)which), (uint64_t)slot);
    return (float)(h >> 40) * 0x1p-24f;
}

static struct lidar_solid *add(struct builder *b, double x, double y, float bottom, float top,
                               float reflectivity)
{
    struct lidar_scene *scene = b->scene;
    float dx = (float)(x - b->origin_x), dy = (float)(y - b->origin_y);

    if (scene->num_solids == LIDAR_MAX_SOLIDS)
        return &scene->solids[LIDAR_MAX_SOLIDS - 1];
    scene->solids[scene->num_solids] = (struct lidar_solid){
        .x = dx,
        .y = dy,
        .cos_yaw = 1,
        .bottom = b->ground + bottom,
        .top = b->ground + top,
        .reflectivity = reflectivity,
    };
    return &scene->solids[scene->num_solids++];
}

static void add_box(struct builder *b, double x, double y, float length, float width, float bottom,
                    float top, float reflectivity)
{
    struct lidar_solid *s = add(b, x, y, bottom, top, reflectivity);

    s->half_length = length / 2;
    s->half_width = width / 2;
}

static void add_cylinder(struct builder *b, double x, double y, float radius, float bottom,
                         float top, float reflectivity)
{
    add(b, x, y, bottom, top, reflectivity)->radius = radius;
}

/* Body and cabin; `size` in [0, 1) goes from a small car to a van. */
static void add_car(struct builder *b, double x, double y, float size, float reflectivity)
{
    float length = 3.8f + 1.2f * size, width = 1.7f + 0.2f * size;
    bool van = size > 0.85f;

    add_box(b, x, y, length, width, 0.25f, 0.95f, reflectivity);
    add_box(b, x - 0.2, y, length * (van ? 0.8f : 0.5f), width * 0.9f, 0.95f,
            van ? 2.1f : 1.45f + 0.1f * size, reflectivity * 0.6f);
}

/* First and last slot of `size` metres within reach of world coordinate x. */
static void slots_in_reach(const struct builder *b, double size, double offset, int64_t *first,
                           int64_t *last)
{
    *first = (int64_t)floor((b->origin_x - b->reach - offset) / size);
    *last = (int64_t)ceil((b->origin_x + b->reach - offset) / size);
}

static bool is_crossing(int64_t block)
{
    return ((block % CROSSING_EVERY) + CROSSING_EVERY) % CROSSING_EVERY == 3;
}

static bool at_crossing(double x)
{
    return is_crossing((int64_t)floor(x / BLOCK));
}

/* A block of the street, one side: pavement and one or two houses with their own set-backs. */
static void add_block(struct builder *b, int64_t block, int side)
{
    double x = ((double)block + 0.5) * BLOCK;
    int64_t slot = block * 2 + (side > 0);
    float depth = 10 + 6 * draw(b, USE_BUILDING, slot, 0);
    float setback = 2.5f * draw(b, USE_BUILDING, slot, 1);
    float height = 5 + 12 * draw(b, USE_BUILDING, slot, 2);
    float split = 0.35f + 0.3f * draw(b, USE_BUILDING, slot, 3);
    float gap = draw(b, USE_BUILDING, slot, 4) < 0.5f ? 3.5f : 0.0f;
    float first = (float)BLOCK * split - gap, second = (float)BLOCK * (1 - split);
    float shade = 25 + 35 * draw(b, USE_BUILDING, slot, 5);

    if (is_crossing(block))
        return;
    add_box(b, x, side * (KERB_Y + 10), (float)BLOCK, 20, -0.1f, 0.15f, 16);
    add_box(b, x - BLOCK / 2 + first / 2, side * (FACADE_Y + depth / 2), first, depth, 0, height,
            shade);
    add_box(b, x + BLOCK / 2 - second / 2, side * (FACADE_Y + setback + depth / 2), second, depth,
            0, height * 0.7f + 1, shade * 0.7f);
}

static void add_blocks(struct builder *b)
{
    int64_t first, last;

    slots_in_reach(b, BLOCK, 0, &first, &last);
    for (int64_t block = first; block <= last; block++) {
        add_block(b, block, 1);
        add_block(b, block, -1);
    }
}

static void add_parked_cars(struct builder *b)
{
    const double size = 6.5;
    int64_t first, last;

    slots_in_reach(b, size, 0, &first, &last);
    for (int64_t i = first; i <= last; i++) {
        for (int side = -1; side <= 1; side += 2) {
            int64_t slot = i * 2 + (side > 0);
            double x = ((double)i + 0.5) * size + 0.8 * draw(b, USE_PARKED, slot, 0) - 0.4;

            if (draw(b, USE_PARKED, slot, 1) < 0.55f && !at_crossing(x - 3) && !at_crossing(x + 3))
                add_car(b, x, side * PARKED_Y, draw(b, USE_PARKED, slot, 2),
                        20 + 70 * draw(b, USE_PARKED, slot, 3));
        }
    }
}

/* One lane of traffic at one speed, so that nobody drives into anybody. The lane of the sensor
 * leaves the slot free that the sensor is in. */
static void add_lane(struct builder *b, int use, float y, double speed, double seconds)
{
    const double size = 22;
    double offset = speed * seconds;
    int64_t first, last;

    slots_in_reach(b, size, offset, &first, &last);
    for (int64_t i = first; i <= last; i++) {
        double sway = 2.5 * sin(0.4 * seconds + 6.283 * draw(b, use, i, 0));
        double x = (double)i * size + offset + 4 * draw(b, use, i, 1) + sway;

        if (draw(b, use, i, 2) < 0.75f && !(use == USE_AHEAD && i == 0))
            add_car(b, x, y, draw(b, use, i, 3), 20 + 70 * draw(b, use, i, 4));
    }
}

/* Pedestrians walk along the pavements; two cylinders, so that a head shows. */
static void add_walkers(struct builder *b, double seconds)
{
    const double size = 9;

    for (int lane = 0; lane < 4; lane++) {
        int direction = lane & 1 ? 1 : -1, side = lane & 2 ? 1 : -1;
        double offset = direction * 1.3 * seconds;
        int64_t first, last;

        slots_in_reach(b, size, offset, &first, &last);
        for (int64_t i = first; i <= last; i++) {
            int64_t slot = i * 4 + lane;
            double x = (double)i * size + offset + 6 * draw(b, USE_WALKER, slot, 0);
            double y = side * (KERB_Y + 1.6f + (lane & 1) + 0.8f * draw(b, USE_WALKER, slot, 1));
            float height = 1.55f + 0.35f * draw(b, USE_WALKER, slot, 2);

            if (draw(b, USE_WALKER, slot, 3) > 0.45f)
                continue;
            add_cylinder(b, x, y, 0.28f, 0.15f, height - 0.3f, 30);
            add_cylinder(b, x, y, 0.13f, height - 0.3f, height, 45);
        }
    }
}

/* Trees and lamp posts along the kerb. */
static void add_trees(struct builder *b)
{
    const double size = 12;
    int64_t first, last;

    slots_in_reach(b, size, 0, &first, &last);
    for (int64_t i = first; i <= last; i++) {
        for (int side = -1; side <= 1; side += 2) {
            int64_t slot = i * 2 + (side > 0);
            double x = (double)i * size, y = side * (KERB_Y + 0.9f);
            float kind = draw(b, USE_TREE, slot, 0), grown = draw(b, USE_TREE, slot, 1);

            if (at_crossing(x))
                continue;
            if (kind < 0.4f) {
                add_cylinder(b, x, y, 0.16f, 0.15f, 3.2f, 18);
                add_cylinder(b, x, y, 1.0f + 0.8f * grown, 2.6f, 5 + 1.5f * grown, 35);
            } else if (kind < 0.6f) {
                add_cylinder(b, x, y, 0.09f, 0.15f, 6, 120);
            }
        }
    }
}

static void build_street(struct builder *b, double seconds)
{
    b->origin_x = EGO_SPEED * seconds;
    b->origin_y = -LANE_Y;
    b->scene->travelled = b->origin_x;
    b->scene->road_y = LANE_Y;
    add_blocks(b);
    add_parked_cars(b);
    add_lane(b, USE_AHEAD, -LANE_Y, EGO_SPEED, seconds);
    add_lane(b, USE_ONCOMING, LANE_Y, -EGO_SPEED, seconds);
    add_walkers(b, seconds);
    add_trees(b);
}

/* 24 x 14 m, walls of 4 m and no ceiling: a cupboard, two tables, a pillar and one person. */
static void build_room(struct builder *b, double seconds)
{
    double angle = 0.5 * seconds + 6.283 * draw(b, USE_WALKER, 0, 0);

    add_box(b, 12.1, 0, 0.2f, 14.4f, 0, 4, 60);
    add_box(b, -12.1, 0, 0.2f, 14.4f, 0, 4, 60);
    add_box(b, 0, 7.1, 24, 0.2f, 0, 4, 45);
    add_box(b, 0, -7.1, 24, 0.2f, 0, 4, 45);
    add_box(b, 11.4, 4, 1.2f, 3, 0, 2, 30);
    add_box(b, 5, 3.5, 2, 1, 0.7f, 0.75f, 40);
    add_box(b, -6, -3.5, 2, 1, 0.7f, 0.75f, 40);
    add_cylinder(b, 7, -3, 0.4f, 0, 4, 25);
    add_cylinder(b, 4 * cos(angle), 4 * sin(angle), 0.28f, 0, 1.5f, 30);
    add_cylinder(b, 4 * cos(angle), 4 * sin(angle), 0.13f, 1.5f, 1.8f, 45);
}

void lidar_scene_at(struct lidar_scene *scene, enum lidar_pattern pattern, uint64_t seed,
                    double seconds, float sensor_height, float reach)
{
    struct builder b = {
        .scene = scene,
        .seed = seed,
        .ground = -sensor_height,
        .reach = fminf(reach, 250),
    };

    scene->pattern = pattern;
    scene->has_ground = pattern != LIDAR_PATTERN_EMPTY;
    scene->ground = -sensor_height;
    scene->road_y = 0;
    scene->travelled = 0;
    scene->num_solids = 0;
    if (pattern == LIDAR_PATTERN_STREET)
        build_street(&b, seconds);
    else if (pattern == LIDAR_PATTERN_BOX_ROOM)
        build_room(&b, seconds);
}

float lidar_scene_ground_reflectivity(const struct lidar_scene *scene, float x, float y)
{
    const float asphalt = 8, paint = 90, half_line = 0.1f;
    float across = fabsf(y - scene->road_y);

    if (scene->pattern != LIDAR_PATTERN_STREET)
        return asphalt;
    if (fabsf(across - 3.8f) < half_line)
        return paint;
    /* The centre line is dashed: 3 m in every 9. */
    if (across < half_line && fmod(scene->travelled + x, 9) < 3)
        return paint;
    return asphalt;
}
