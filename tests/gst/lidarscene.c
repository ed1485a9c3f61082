/* SPDX-License-Identifier: MIT */
/* The simulated lidar without GStreamer: against geometry, and against a plain ray caster. */
#include "lidarframe.h"
#include "test.h"

#define HEIGHT 1.8f

static struct lidar_frame_params params_of(enum lidar_sensor sensor, enum lidar_pattern pattern)
{
    const struct lidar_sensor_info *info = lidar_sensor_get_info(sensor);
    struct lidar_frame_params params = {
        .pattern = pattern,
        .sensor_height = HEIGHT,
        .sweeps = 1,
        .scan = {sensor, info->azimuth_steps, info->range_max, 1.0 / info->rate, 0, 0, 1},
        .num_columns = 6,
        .columns = {0, 1, 2, 3, 4, 5},
    };
    return params;
}

/* A frame as rows of num_columns floats; released with free(). */
static float *simulate(const struct lidar_frame_params *params, int64_t number, int64_t *count)
{
    struct lidar_simulator *simulator = lidar_simulator_create();
    float *points =
        malloc(lidar_frame_max_points(params) * (size_t)params->num_columns * sizeof(float));

    *count = lidar_simulator_run(simulator, params, number, points);
    lidar_simulator_free(&simulator);
    CHECK(simulator == NULL);
    return points;
}

TEST(beams)
{
    float degrees[LIDAR_MAX_BEAMS];

    CHECK_INT(lidar_sensor_get_info(LIDAR_SENSOR_HDL_32E)->num_beams, 32);
    lidar_sensor_get_beams(LIDAR_SENSOR_HDL_32E, degrees);
    CHECK_NEAR(degrees[0], -30.67, 1e-4);
    CHECK_NEAR(degrees[31], 10.67, 1e-4);
    lidar_sensor_get_beams(LIDAR_SENSOR_VLP_16, degrees);
    CHECK_NEAR(degrees[0], -15, 1e-4);
    CHECK_NEAR(degrees[15], 15, 1e-4);
    lidar_sensor_get_beams(LIDAR_SENSOR_HDL_64E, degrees);
    CHECK_NEAR(degrees[0], -24.33, 1e-4);
    CHECK_NEAR(degrees[63], 2, 0.01);
    lidar_sensor_get_beams(LIDAR_SENSOR_OS1_128, degrees);
    CHECK_NEAR(degrees[0], -22.5, 1e-4);
    CHECK_NEAR(degrees[127], 22.5, 1e-4);
    for (int sensor = LIDAR_SENSOR_VLP_16; sensor <= LIDAR_SENSOR_OS1_128; sensor++) {
        lidar_sensor_get_beams((enum lidar_sensor)sensor, degrees);
        for (int i = 1; i < lidar_sensor_get_info((enum lidar_sensor)sensor)->num_beams; i++)
            CHECK(degrees[i] > degrees[i - 1]);
    }
}

TEST(columns)
{
    CHECK_INT(lidar_frame_column("x"), 0);
    CHECK_INT(lidar_frame_column("ring"), 5);
    CHECK_INT(lidar_frame_column("rings"), -1);
}

/* On flat ground every downward beam draws a circle of radius height / tan. */
TEST(ground_is_rings)
{
    struct lidar_frame_params params = params_of(LIDAR_SENSOR_HDL_32E, LIDAR_PATTERN_GROUND);
    float degrees[LIDAR_MAX_BEAMS];
    int64_t count, beams = 0;
    float *p = simulate(&params, 3, &count);

    lidar_sensor_get_beams(LIDAR_SENSOR_HDL_32E, degrees);
    for (int i = 0; i < 32; i++)
        beams += degrees[i] < 0 && HEIGHT / sin(-degrees[i] * M_PI / 180) <= 80;
    CHECK_INT(count, beams * 1084);
    for (int64_t i = 0; i < count; i++) {
        double tangent = tan(-degrees[(int)p[i * 6 + 5]] * M_PI / 180);

        if (fabs(p[i * 6 + 2] + HEIGHT) > 1e-4 ||
            fabs(hypot(p[i * 6], p[i * 6 + 1]) * tangent - HEIGHT) > 1e-3) {
            CHECK_NEAR(p[i * 6 + 2], -HEIGHT, 1e-4);
            break;
        }
    }
    free(p);
}

/* From the rear, clockwise: left comes before front before right; time falls to 0. */
TEST(order_and_time)
{
    struct lidar_frame_params params = params_of(LIDAR_SENSOR_HDL_32E, LIDAR_PATTERN_GROUND);
    int64_t count, per_step;
    float *p = simulate(&params, 0, &count);

    per_step = count / 1084;
    CHECK(p[0] < 0 && fabsf(p[1]) < 0.1f);
    CHECK(p[(271 * per_step) * 6 + 1] > 0 && fabsf(p[(271 * per_step) * 6]) < 0.1f);
    CHECK(p[(542 * per_step) * 6] > 0);
    CHECK(p[(813 * per_step) * 6 + 1] < 0);
    CHECK_NEAR(p[4], 0.05 * 1083 / 1084, 1e-6);
    CHECK_NEAR(p[(count - 1) * 6 + 4], 0, 0);
    for (int64_t i = 1; i < count; i++)
        if (p[i * 6 + 4] > p[(i - 1) * 6 + 4]) {
            CHECK(p[i * 6 + 4] <= p[(i - 1) * 6 + 4]);
            break;
        }
    free(p);
}

TEST(empty)
{
    struct lidar_frame_params params = params_of(LIDAR_SENSOR_VLP_16, LIDAR_PATTERN_EMPTY);
    int64_t count;
    float *p = simulate(&params, 0, &count);

    CHECK_INT(count, 0);
    free(p);
}

/* Entry of a ray into a solid by the three slabs of a box, or a cylinder's side and lids, with
 * nothing left out: horizontal distance, or infinity. */
static double plain_hit(const struct lidar_solid *s, double dx, double dy, double slope)
{
    double near = -INFINITY, far = INFINITY;
    double centre[3] = {s->x, s->y, 0.5 * ((double)s->bottom + s->top)};
    double half[3] = {s->half_length, s->half_width, 0.5 * ((double)s->top - s->bottom)};
    double d[3] = {dx, dy, slope};

    for (int axis = s->radius > 0 ? 2 : 0; axis < 3; axis++) {
        double a = (centre[axis] - half[axis]) / d[axis], b = (centre[axis] + half[axis]) / d[axis];

        near = fmax(near, fmin(a, b));
        far = fmin(far, fmax(a, b));
    }
    if (s->radius > 0) {
        double along = s->x * dx + s->y * dy, across = s->x * dy - s->y * dx;
        double chord = s->radius * s->radius - across * across;

        if (chord <= 0)
            return INFINITY;
        near = fmax(near, along - sqrt(chord));
        far = fmin(far, along + sqrt(chord));
    }
    return near < far && near > 0 ? near : INFINITY;
}

static double plain_cast(const struct lidar_scene *scene, double dx, double dy, double slope)
{
    double best = slope < 0 ? scene->ground / slope : INFINITY;

    for (int i = 0; i < scene->num_solids; i++)
        best = fmin(best, plain_hit(&scene->solids[i], dx, dy, slope));
    return best;
}

/* The scan, which leaves out what cannot be seen from an azimuth, against all rays and all solids;
 * a ray that grazes an edge may go either way. */
static void check_against_plain(enum lidar_sensor sensor, enum lidar_pattern pattern, uint64_t seed)
{
    struct lidar_frame_params params = params_of(sensor, pattern);
    const struct lidar_sensor_info *info = lidar_sensor_get_info(sensor);
    static struct lidar_scene scene;
    float degrees[LIDAR_MAX_BEAMS];
    int64_t count, at = 0, wrong = 0, rays = 0;
    float *p;

    params.scan.seed = seed;
    p = simulate(&params, 40, &count);
    lidar_sensor_get_beams(sensor, degrees);
    lidar_scene_at(&scene, pattern, seed, 40 * params.scan.seconds_per_turn, HEIGHT,
                   info->range_max);
    for (int step = 0; step < info->azimuth_steps; step++) {
        double angle = M_PI - 2 * M_PI * (step + 0.5) / info->azimuth_steps;

        for (int beam = 0; beam < info->num_beams; beam++, rays++) {
            double elevation = degrees[beam] * M_PI / 180;
            double distance = plain_cast(&scene, cos(angle), sin(angle), tan(elevation));
            double range = distance / cos(elevation);
            float lag = (float)(params.scan.seconds_per_turn / info->azimuth_steps *
                                (info->azimuth_steps - 1 - step));
            bool returned = at < count && (int)p[at * 6 + 5] == beam && p[at * 6 + 4] == lag;
            double got = returned ? hypot(p[at * 6], p[at * 6 + 1]) : INFINITY;

            at += returned;
            if (range >= info->range_min && range <= info->range_max)
                wrong += !(fabs(got - distance) < 0.01);
            else
                wrong += returned;
        }
    }
    CHECK_INT(at, count);
    CHECK(count > rays / 3);
    printf("     %" PRId64 " of %" PRId64 " rays differ from the plain caster\n", wrong, rays);
    CHECK(wrong <= rays / 1000);
    free(p);
}

TEST(plain_caster)
{
    check_against_plain(LIDAR_SENSOR_HDL_32E, LIDAR_PATTERN_STREET, 1);
    check_against_plain(LIDAR_SENSOR_HDL_32E, LIDAR_PATTERN_STREET, 77);
    check_against_plain(LIDAR_SENSOR_VLP_16, LIDAR_PATTERN_BOX_ROOM, 3);
    check_against_plain(LIDAR_SENSOR_OS1_128, LIDAR_PATTERN_STREET, 5);
}

TEST(deterministic)
{
    struct lidar_frame_params params = params_of(LIDAR_SENSOR_HDL_32E, LIDAR_PATTERN_STREET);
    int64_t a_count, b_count, c_count, d_count;
    float *a, *b, *c, *d;

    params.scan.noise = 0.02f;
    params.scan.drop_out = 0.1f;
    a = simulate(&params, 7, &a_count);
    b = simulate(&params, 7, &b_count);
    c = simulate(&params, 8, &c_count);
    params.scan.seed++;
    d = simulate(&params, 7, &d_count);
    CHECK_INT(a_count, b_count);
    CHECK(!memcmp(a, b, (size_t)a_count * 6 * sizeof(float)));
    CHECK(a_count != c_count || memcmp(a, c, (size_t)a_count * 6 * sizeof(float)));
    CHECK(a_count != d_count || memcmp(a, d, (size_t)a_count * 6 * sizeof(float)));
    free(a);
    free(b);
    free(c);
    free(d);
}

TEST(noise_and_drop_out)
{
    struct lidar_frame_params params = params_of(LIDAR_SENSOR_HDL_32E, LIDAR_PATTERN_GROUND);
    int64_t whole, count;
    double sum = 0, squares = 0;
    float degrees[LIDAR_MAX_BEAMS];
    float *p = simulate(&params, 0, &whole);

    free(p);
    params.scan.noise = 0.05f;
    params.scan.drop_out = 0.25f;
    p = simulate(&params, 0, &count);
    CHECK_NEAR((double)count / (double)whole, 0.75, 0.02);
    lidar_sensor_get_beams(LIDAR_SENSOR_HDL_32E, degrees);
    for (int64_t i = 0; i < count; i++) {
        double range = sqrt((double)p[i * 6] * p[i * 6] + (double)p[i * 6 + 1] * p[i * 6 + 1] +
                            (double)p[i * 6 + 2] * p[i * 6 + 2]);
        double off = range - HEIGHT / sin(-degrees[(int)p[i * 6 + 5]] * M_PI / 180);

        sum += off;
        squares += off * off;
    }
    CHECK_NEAR(sum / (double)count, 0, 0.002);
    CHECK_NEAR(sqrt(squares / (double)count), 0.05, 0.003);
    free(p);
}

TEST(intensity_is_whole_and_shows_lane_markings)
{
    struct lidar_frame_params params = params_of(LIDAR_SENSOR_HDL_32E, LIDAR_PATTERN_STREET);
    int64_t count, bright = 0, odd = 0;
    float *p = simulate(&params, 0, &count);

    for (int64_t i = 0; i < count; i++) {
        float value = p[i * 6 + 3];

        odd += value < 0 || value > 255 || value != floorf(value);
        bright += fabsf(p[i * 6 + 2] + HEIGHT) < 0.01f && value > 60;
    }
    CHECK_INT(odd, 0);
    CHECK(bright > 20);
    free(p);
}

/* The second half of two sweeps is the frame before, moved back by what was driven since. */
TEST(sweeps)
{
    struct lidar_frame_params params = params_of(LIDAR_SENSOR_HDL_32E, LIDAR_PATTERN_STREET);
    int64_t newest, older, both, wrong = 0;
    float *a = simulate(&params, 20, &newest), *b = simulate(&params, 19, &older), *c;

    params.sweeps = 2;
    c = simulate(&params, 20, &both);
    CHECK_INT(both, newest + older);
    CHECK(!memcmp(a, c, (size_t)newest * 6 * sizeof(float)));
    for (int64_t i = 0; i < older && newest + i < both; i++) {
        const float *was = b + i * 6, *is = c + (newest + i) * 6;

        wrong += fabsf(is[0] - (was[0] - 0.4f)) > 1e-4f || is[1] != was[1] || is[2] != was[2] ||
                 fabsf(is[4] - (was[4] + 0.05f)) > 1e-6f;
    }
    CHECK_INT(wrong, 0);
    free(a);
    free(b);
    free(c);
}

/* Whatever the time and place, the scene fits. */
TEST(scene_bound)
{
    static struct lidar_scene scene;
    int most = 0;

    for (int i = 0; i < 2000; i++) {
        lidar_scene_at(&scene, LIDAR_PATTERN_STREET, (uint64_t)i, i * 3.7 - 100, HEIGHT, 250);
        most = scene.num_solids > most ? scene.num_solids : most;
    }
    CHECK(most > 300 && most < LIDAR_MAX_SOLIDS);
}

int main(void)
{
    RUN(beams);
    RUN(columns);
    RUN(ground_is_rings);
    RUN(order_and_time);
    RUN(empty);
    RUN(plain_caster);
    RUN(deterministic);
    RUN(noise_and_drop_out);
    RUN(intensity_is_whole_and_shows_lane_markings);
    RUN(sweeps);
    RUN(scene_bound);
    return test_result();
}
