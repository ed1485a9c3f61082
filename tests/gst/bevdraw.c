/* SPDX-License-Identifier: MIT */
/* The pure parts of bevrender: views, colours, value ranges, points and planes as pixels. */
#include "bevdraw.h"
#include "test.h"

#define BACKGROUND 0xff102030u
#define RED 0xffff0000u
#define SIDE 100

static struct bev_picture picture;
static uint32_t gray[BEV_NUM_COLORS];

/* A picture of 100 x 100 pixels that shows +-50 m, without rings: a pixel is a metre. */
static void start(void)
{
    struct bev_view view;

    bev_view_fit(&view, SIDE, SIDE, -50, -50, 50, 50);
    CHECK(bev_picture_init(&picture, &view, BACKGROUND, false));
    bev_picture_clear(&picture);
}

static uint32_t pixel(int column, int row)
{
    return picture.pixels[row * picture.view.width + column];
}

static int count_drawn(void)
{
    int drawn = 0;

    for (int i = 0; i < picture.view.width * picture.view.height; i++)
        drawn += picture.pixels[i] != BACKGROUND;
    return drawn;
}

TEST(views)
{
    struct bev_view view;

    bev_view_fit(&view, 800, 400, -50, -50, 50, 50);
    CHECK_NEAR(view.scale, 4, 1e-6);
    CHECK_NEAR(bev_view_row(&view, 50), 0, 1e-4);
    CHECK_NEAR(bev_view_row(&view, 0), 200, 1e-4);
    CHECK_NEAR(bev_view_column(&view, 0), 400, 1e-4);
    CHECK_NEAR(bev_view_column(&view, 100), 0, 1e-4);
    bev_view_fit(&view, 100, 100, 0, -40, 80, 40);
    CHECK_NEAR(bev_view_row(&view, 80), 0, 1e-4);
    CHECK_NEAR(bev_view_row(&view, 0), 100, 1e-4);
}

TEST(colormaps)
{
    uint32_t colors[BEV_NUM_COLORS];

    CHECK(gray[0] == 0xff000000u && gray[255] == 0xffffffffu && gray[128] == 0xff808080u);
    for (int map = BEV_COLORMAP_VIRIDIS; map <= BEV_COLORMAP_INFERNO; map++) {
        int jumps = 0;

        bev_colormap_fill((enum bev_colormap)map, colors);
        for (int i = 1; i < BEV_NUM_COLORS; i++)
            for (int shift = 0; shift < 24; shift += 8)
                jumps +=
                    abs((int)(colors[i] >> shift & 255) - (int)(colors[i - 1] >> shift & 255)) > 8;
        CHECK_INT(jumps, 0);
        CHECK(colors[0] >> 24 == 255 && colors[0] != colors[255]);
    }
    CHECK(bev_color(gray, 0, 1, -5) == gray[0]);
    CHECK(bev_color(gray, 0, 1, 5) == gray[255]);
    CHECK(bev_color(gray, 0, 1, INFINITY) == gray[255]);
    CHECK(bev_color(gray, 0, 1, -INFINITY) == gray[0]);
    CHECK(bev_color(gray, 0, 1, NAN) == BEV_COLOR_NAN);
    CHECK(bev_color(gray, 0, 1, 0.5f) == gray[128]);
}

TEST(value_ranges)
{
    float values[1000], low, high;

    for (int i = 0; i < 1000; i++)
        values[i] = (float)i;
    bev_value_range(values, 1000, 0, 1, &low, &high);
    CHECK_NEAR(low, 0, 1);
    CHECK_NEAR(high, 999, 1);
    bev_value_range(values, 1000, 0.1f, 0.9f, &low, &high);
    CHECK_NEAR(low, 100, 2);
    CHECK_NEAR(high, 900, 2);
    values[0] = NAN;
    values[1] = INFINITY;
    values[2] = -INFINITY;
    bev_value_range(values, 1000, 0, 1, &low, &high);
    CHECK_NEAR(low, 3, 1);
    CHECK_NEAR(high, 999, 1);
    bev_value_range(values, 3, 0, 1, &low, &high);
    CHECK(low == 0 && high == 1);
    bev_value_range(values + 7, 1, 0, 1, &low, &high);
    CHECK(low == 7 && high > 7);
    bev_value_range(NULL, 0, 0, 1, &low, &high);
    CHECK(low == 0 && high == 1);
    for (int i = 0; i < 999; i++)
        values[i] = 1e8f;
    values[999] = 1e8f + 8;
    bev_value_range(values, 1000, 0.1f, 0.9f, &low, &high);
    CHECK(low == 1e8f && high > low);
    values[3] = 3e38f;
    values[4] = -3e38f;
    bev_value_range(values + 3, 2, 0, 1, &low, &high);
    CHECK(isfinite(low) && isfinite(high) && low < high);
}

/* Front is up, left is left. */
TEST(points_lie_where_they_should)
{
    const float x[] = {30.5f, 0, 1e6f, NAN, INFINITY}, y[] = {20.5f, -49.5f, 0, 0, 0};
    const float z[] = {0, 0, 0, 0, 0}, value[] = {1, 0, 1, 1, 1};
    struct bev_points points = {x, y, z, value, 5};

    start();
    bev_draw_points(&picture, &points, 1, gray, 0, 1);
    CHECK(pixel(29, 19) == gray[255]);
    CHECK(pixel(99, 50) == gray[0] || pixel(99, 49) == gray[0]);
    CHECK_INT(count_drawn(), 2);
}

TEST(the_highest_point_is_seen)
{
    const float x[] = {0, 0, 0}, y[] = {0, 0, 0}, z[] = {-1, 2, 1}, value[] = {0, 1, 0};
    struct bev_points points = {x, y, z, value, 3};

    start();
    bev_draw_points(&picture, &points, 4, gray, 0, 1);
    CHECK_INT(count_drawn(), 16);
    CHECK(pixel(48, 48) == gray[255] && pixel(51, 51) == gray[255]);
}

/* Large points at every edge stay within the picture. */
TEST(points_at_the_edge)
{
    const float x[] = {50, 50, -50, -50}, y[] = {50, -50, 50, -50}, z[] = {0, 0, 0, 0};
    struct bev_points points = {x, y, z, z, 4};

    start();
    bev_draw_points(&picture, &points, 10, gray, -1, 0);
    CHECK_INT(count_drawn(), 4 * 25);
}

TEST(reduce)
{
    /* [3][1500]: more than one block of conversion. */
    static float data[3 * 1500], plane[1500], half_plane[1500];
    static uint16_t halves[3 * 1500];

    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 1500; i++)
            data[c * 1500 + i] = (float)((i * 7 + c * 5) % 64) - 32;
    spc_convert_f32_to_f16(data, halves, 3 * 1500);
    for (int mode = BEV_REDUCE_MAX; mode <= BEV_REDUCE_CHANNEL; mode++) {
        int wrong = 0;

        bev_reduce_channels(data, SPC_DTYPE_F32, 3, 1500, (enum bev_reduce)mode, 2, plane);
        bev_reduce_channels(halves, SPC_DTYPE_F16, 3, 1500, (enum bev_reduce)mode, 2, half_plane);
        for (int i = 0; i < 1500; i++) {
            float a = data[i], b = data[1500 + i], c = data[3000 + i];
            float right = mode == BEV_REDUCE_MAX    ? fmaxf(a, fmaxf(b, c))
                          : mode == BEV_REDUCE_MEAN ? (a + b + c) / 3
                                                    : c;

            wrong += plane[i] != right || half_plane[i] != right;
        }
        CHECK_INT(wrong, 0);
    }
    data[0] = NAN;
    bev_reduce_channels(data, SPC_DTYPE_F32, 3, 1500, BEV_REDUCE_MAX, 0, plane);
    CHECK(plane[0] == fmaxf(data[1500], data[3000]));
    bev_reduce_channels(data, SPC_DTYPE_F32, 3, 1500, BEV_REDUCE_MEAN, 0, plane);
    CHECK(isnan(plane[0]));
}

/* One marked cell, at front left, in both orders of axes: x from -50 to 50 in 5 cells, y in 4. */
TEST(planes_of_both_orders)
{
    float yx[4][5] = {{0}}, xy[5][4] = {{0}};
    struct bev_plane plane = {&yx[0][0], 4, 5, false, -50, -50, 50, 50};

    yx[3][4] = 1; /* largest y: left; largest x: front */
    xy[4][3] = 1;
    for (int order = 0; order < 2; order++) {
        int marked = 0;

        start();
        bev_draw_plane(&picture, &plane, gray, 0, 1);
        CHECK(pixel(0, 0) == gray[255] && pixel(24, 19) == gray[255]);
        CHECK(pixel(25, 19) == gray[0] && pixel(24, 20) == gray[0] && pixel(99, 99) == gray[0]);
        for (int i = 0; i < SIDE * SIDE; i++)
            marked += picture.pixels[i] == gray[255];
        CHECK_INT(marked, 25 * 20);
        plane = (struct bev_plane){&xy[0][0], 5, 4, true, -50, -50, 50, 50};
    }
}

TEST(a_plane_leaves_the_rest_alone)
{
    const float one = 1;
    struct bev_plane plane = {&one, 1, 1, false, 0, 0, 10, 20};

    start();
    bev_draw_plane(&picture, &plane, gray, 0, 1);
    CHECK_INT(count_drawn(), 200);
    CHECK(pixel(30, 40) == gray[255] && pixel(49, 49) == gray[255]);
    CHECK(pixel(50, 49) == BACKGROUND && pixel(49, 50) == BACKGROUND);
}

/* Rings every 10 m at this scale: a pixel at 20 m is touched, one at 25 m is not. */
TEST(rings_and_marker)
{
    struct bev_view view;

    bev_view_fit(&view, 400, 400, -50, -50, 50, 50);
    REQUIRE(bev_picture_init(&picture, &view, BACKGROUND, true));
    CHECK_NEAR(picture.ring_step, 10, 0);
    bev_picture_clear(&picture);
    CHECK(pixel(200 + 57, 200 + 57) != BACKGROUND || pixel(200 + 56, 200 + 56) != BACKGROUND);
    CHECK(pixel(200 + 71, 200 + 71) == BACKGROUND);
    CHECK(pixel(200, 190) != 0xffffffffu);
    bev_picture_draw_ego(&picture);
    CHECK(pixel(200, 200) == 0xffffffffu);
    bev_picture_clear(&picture);
    CHECK(pixel(200, 200) != 0xffffffffu);
}

TEST(text_and_blending)
{
    start();
    bev_picture_draw_text(&picture, 10, 10, "1", RED);
    CHECK(pixel(12, 10) == RED && pixel(12, 16) == RED && pixel(10, 10) == BACKGROUND);
    CHECK_INT(bev_picture_text_width(&picture, "12"), 12);
    bev_picture_draw_text(&picture, -3, 95, "888", RED);
    bev_picture_draw_text(&picture, 98, -2, "888", RED);
    bev_picture_blend(&picture, 50, 50, 0xff305070u, 0);
    CHECK(pixel(50, 50) == BACKGROUND);
    bev_picture_blend(&picture, 50, 50, 0xff305070u, 255);
    CHECK(pixel(50, 50) == 0xff305070u);
    bev_picture_blend(&picture, -1, 0, RED, 255);
    bev_picture_blend(&picture, 0, SIDE, RED, 255);
}

int main(void)
{
    bev_colormap_fill(BEV_COLORMAP_GRAY, gray);
    RUN(views);
    RUN(colormaps);
    RUN(value_ranges);
    RUN(points_lie_where_they_should);
    RUN(the_highest_point_is_seen);
    RUN(points_at_the_edge);
    RUN(reduce);
    RUN(planes_of_both_orders);
    RUN(a_plane_leaves_the_rest_alone);
    RUN(rings_and_marker);
    RUN(text_and_blending);
    bev_picture_finish(&picture);
    return test_result();
}
