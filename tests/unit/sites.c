/* SPDX-License-Identifier: MIT */
/* Active sites and pairs: small cases by hand, and random ones against a dense grid by the plain
 * definition of the operators. */
#include "cpu/pairs.h"
#include "test.h"

static struct spc__pool *pool;

/* ---- by hand ---- */

TEST(site_order)
{
    /* Tiles are 8 rows by 16 columns; within one: y, then x, then z. */
    static const int32_t rows[][4] = {
        {0, 1, 0, 16}, {0, 2, 7, 15}, {0, 0, 8, 0}, {0, 3, 1, 0}, {0, 1, 1, 0}, {0, 0, 0, 15},
    };
    /* (0,0,15): tile 0, y 0; (1,1,0): y 1; (3,1,0): above it; (2,7,15): y 7; (1,0,16): tile 1;
     * (0,8,0): tile 2. */
    static const int32_t input_of_row[] = {5, 4, 3, 1, 0, 2};
    static const int32_t grid[3] = {4, 9, 20};
    struct spc__sites sites;
    struct spc_error err;
    int32_t row_of_input[6], back[6][4], xyz[6][4];

    REQUIRE(!spc__sites_init(&sites, grid, 10, &err));
    REQUIRE(!spc__sites_from_indices(&sites, rows[0], 6, SPC_INDEX_ZYX, row_of_input, &err));
    CHECK_INT(sites.count, 6);
    spc__sites_write_indices(&sites, SPC_INDEX_ZYX, back[0]);
    spc__sites_write_indices(&sites, SPC_INDEX_XYZ, xyz[0]);
    for (int i = 0; i < 6; i++) {
        const int32_t *row = rows[input_of_row[i]];

        CHECK_INT(row_of_input[input_of_row[i]], i);
        CHECK(!memcmp(back[i], row, sizeof(back[i])));
        CHECK(xyz[i][1] == row[3] && xyz[i][2] == row[2] && xyz[i][3] == row[1]);
        CHECK_INT(spc__sites_row(&sites, row[1], row[2], row[3]), i);
    }
    CHECK_INT(spc__sites_row(&sites, 0, 0, 0), -1);
    CHECK_INT(spc__sites_row(&sites, -1, 0, 15), -1);
    CHECK_INT(spc__sites_row(&sites, 4, 0, 15), -1);
    CHECK_INT(spc__sites_row(&sites, 0, -1, 15), -1);
    CHECK_INT(spc__sites_row(&sites, 0, 9, 15), -1);
    CHECK_INT(spc__sites_row(&sites, 0, 0, 20), -1);
    CHECK(spc__sites_bytes(&sites) > 6 * 12);
    spc__sites_clear(&sites);
}

struct refusal {
    int32_t rows[3][4];
    int64_t count;
    enum spc_status status;
    const char *text;
};

TEST(input_refused)
{
    static const struct refusal cases[] = {
        {{{0, 0, 0, 0}, {1, 0, 0, 0}}, 2, SPC_ERR_INPUT, "input row 1: batch index 1"},
        {{{0, 4, 0, 0}}, 1, SPC_ERR_INPUT,
         "input row 0: voxel (z 4, y 0, x 0) is outside the grid of 4 x 9 x 20 cells (z, y, x)"},
        {{{0, 0, 9, 0}}, 1, SPC_ERR_INPUT, "(z 0, y 9, x 0)"},
        {{{0, 0, 0, 20}}, 1, SPC_ERR_INPUT, "(z 0, y 0, x 20)"},
        {{{0, -1, 0, 0}}, 1, SPC_ERR_INPUT, "(z -1, y 0, x 0)"},
        {{{0, 0, 0, INT32_MIN}}, 1, SPC_ERR_INPUT, "x -2147483648"},
        {{{0, 1, 2, 3}, {0, 3, 2, 1}, {0, 1, 2, 3}}, 3, SPC_ERR_INPUT,
         "input rows 0 and 2 are the same voxel (z 1, y 2, x 3)"},
        {{{0}}, 4, SPC_ERR_CAPACITY, "4 voxels, but the session was planned for at most 3"},
    };
    static const int32_t grid[3] = {4, 9, 20}, one[4] = {0, 3, 8, 19};
    struct spc__sites sites;
    struct spc_error err;
    int32_t row_of_input[3];

    REQUIRE(!spc__sites_init(&sites, grid, 3, &err));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct refusal *c = &cases[i];

        CHECK_INT(spc__sites_from_indices(&sites, c->rows[0], c->count, SPC_INDEX_ZYX,
                                          row_of_input, &err),
                  c->status);
        CHECK_TEXT(err.message, c->text);
        CHECK_INT(sites.count, 0);
        CHECK_INT(spc__sites_row(&sites, 0, 0, 0), -1);
        /* The next frame is not disturbed. */
        CHECK_INT(spc__sites_from_indices(&sites, one, 1, SPC_INDEX_ZYX, row_of_input, &err), 0);
        CHECK_INT(sites.count, 1);
        CHECK_INT(spc__sites_row(&sites, 3, 8, 19), 0);
    }
    spc__sites_clear(&sites);
}

TEST(strided_bound)
{
    static const int32_t grid[3] = {2, 40, 40}, two[3] = {2, 2, 2}, one[3] = {1, 1, 1},
                         zero[3] = {0, 0, 0}, out_grid[3] = {1, 20, 20};
    struct spc__sites in, out;
    struct spc_error err;
    int32_t rows[400][4], row_of_input[400];
    char name[512]; /* as joined names of fused nodes can be: it must not push out the numbers */

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    for (int i = 0; i < 400; i++)
        memcpy(rows[i], (int32_t[]){0, 0, i / 20 * 2, i % 20 * 2}, sizeof(rows[i]));
    REQUIRE(!spc__sites_init(&in, grid, 400, &err));
    REQUIRE(!spc__sites_from_indices(&in, rows[0], 400, SPC_INDEX_ZYX, row_of_input, &err));
    for (int bound = 1; bound <= 400; bound += 57) { /* 6 tiles: bounds below that, too */
        bool fits = bound >= 400;

        REQUIRE(!spc__sites_init(&out, out_grid, bound, &err));
        CHECK_INT(spc__sites_from_strided(&out, &in, two, two, zero, one, name, pool, &err),
                  fits ? SPC_OK : SPC_ERR_CAPACITY);
        if (!fits) {
            char text[64];

            snprintf(text, sizeof(text), "n': 400 output sites, but the plan's bound is %d", bound);
            CHECK_TEXT(err.message, text);
            CHECK_TEXT(err.message, "node 'nnn");
        }
        CHECK_INT(out.count, fits ? 400 : 0);
        spc__sites_clear(&out);
    }
    spc__sites_clear(&in);
}

TEST(pairs_by_hand)
{
    /* Two sites side by side in x, kernel 1x1x3: each is its own neighbour (k = 1) and the
     * other's (k = 0, 2). */
    static const int32_t grid[3] = {1, 1, 8}, rows[2][4] = {{0, 0, 0, 4}, {0, 0, 0, 3}};
    static const struct spc__geometry subm = {
        true, false, {1, 1, 3}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
    static const int32_t in[] = {0, 0, 1, 1}, out[] = {1, 0, 1, 0};
    struct spc__sites sites;
    struct spc__pairs pairs;
    int32_t row_of_input[2];

    REQUIRE(!spc__sites_init(&sites, grid, 4, NULL));
    REQUIRE(!spc__pairs_init(&pairs, 3, 4, 2, NULL));
    REQUIRE(!spc__sites_from_indices(&sites, rows[0], 2, SPC_INDEX_ZYX, row_of_input, NULL));
    spc__pairs_build(&pairs, &subm, &sites, &sites, 2, pool);
    CHECK_INT(pairs.num_pairs, 4);
    CHECK_INT(pairs.num_windows, 1);
    for (int k = 0; k < 3; k++)
        CHECK_INT(pairs.start[k + 1] - pairs.start[k], k == 1 ? 2 : 1);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(pairs.in[pairs.start[0] + i], in[i]);
        CHECK_INT(pairs.out[pairs.start[0] + i], out[i]);
    }
    spc__pairs_clear(&pairs);
    spc__sites_clear(&sites);
}

/* ---- against a dense grid ---- */

struct dense {
    int32_t grid[3];
    uint8_t *on;
};

static size_t cell(const struct dense *d, int32_t z, int32_t y, int32_t x)
{
    return ((size_t)z * (size_t)d->grid[1] + (size_t)y) * (size_t)d->grid[2] + (size_t)x;
}

static bool dense_on(const struct dense *d, int32_t z, int32_t y, int32_t x)
{
    return z >= 0 && y >= 0 && x >= 0 && z < d->grid[0] && y < d->grid[1] && x < d->grid[2] &&
           d->on[cell(d, z, y, x)];
}

static struct dense dense_new(const int32_t grid[3])
{
    struct dense d = {{grid[0], grid[1], grid[2]}, NULL};

    d.on = calloc((size_t)grid[0] * (size_t)grid[1], (size_t)grid[2]);
    return d;
}

/* The dense grid's cells in site order are the sites' rows. */
static int order_errors(const struct dense *d, const struct spc__sites *sites)
{
    int32_t row = 0;
    int errors = 0;

    for (int32_t ty = 0; ty < d->grid[1]; ty += 8)
        for (int32_t tx = 0; tx < d->grid[2]; tx += 16)
            for (int32_t y = ty; y < ty + 8; y++)
                for (int32_t x = tx; x < tx + 16; x++)
                    for (int32_t z = 0; z < d->grid[0]; z++) {
                        const int32_t *c = sites->coords + 3 * row;

                        if (!dense_on(d, z, y, x))
                            continue;
                        errors += row >= sites->count || c[0] != z || c[1] != y || c[2] != x ||
                                  spc__sites_row(sites, z, y, x) != row;
                        row++;
                    }
    return errors + (row != sites->count);
}

static void fill(struct dense *d, struct spc__sites *sites, unsigned percent)
{
    size_t cells = (size_t)d->grid[0] * (size_t)d->grid[1] * (size_t)d->grid[2], n = 0;
    int32_t *rows = malloc(cells * 4 * sizeof(*rows)), *map = malloc(cells * sizeof(*map));

    for (size_t i = cells; i-- > 0;) { /* backwards: not in site order */
        size_t plane = (size_t)d->grid[1] * (size_t)d->grid[2];

        d->on[i] = (unsigned)rand() % 100 < percent;
        if (!d->on[i])
            continue;
        rows[4 * n] = 0;
        rows[4 * n + 1] = (int32_t)(i / plane);
        rows[4 * n + 2] = (int32_t)(i % plane / (size_t)d->grid[2]);
        rows[4 * n++ + 3] = (int32_t)(i % (size_t)d->grid[2]);
    }
    CHECK(!spc__sites_from_indices(sites, rows, (int64_t)n, SPC_INDEX_ZYX, map, NULL));
    for (size_t i = 0; i < n; i++)
        CHECK_INT(map[i], spc__sites_row(sites, rows[4 * i + 1], rows[4 * i + 2], rows[4 * i + 3]));
    free(rows);
    free(map);
}

/* The strided convolution's output cells, as the definition says. */
static void dense_strided(const struct dense *in, struct dense *out, const struct spc__geometry *g)
{
    for (int32_t z = 0; z < out->grid[0]; z++)
        for (int32_t y = 0; y < out->grid[1]; y++)
            for (int32_t x = 0; x < out->grid[2]; x++)
                for (int k = 0; k < g->kernel[0] * g->kernel[1] * g->kernel[2]; k++) {
                    int32_t kz = k / (g->kernel[1] * g->kernel[2]);
                    int32_t ky = k / g->kernel[2] % g->kernel[1], kx = k % g->kernel[2];

                    if (dense_on(in, z * g->stride[0] + kz * g->dilation[0] - g->padding[0],
                                 y * g->stride[1] + ky * g->dilation[1] - g->padding[1],
                                 x * g->stride[2] + kx * g->dilation[2] - g->padding[2]))
                        out->on[cell(out, z, y, x)] = 1;
                }
}

/* Whether the pair (in row at i, offset k, out row at o) belongs to the geometry. */
static bool is_pair(const struct spc__geometry *g, const int32_t *i, const int32_t *o, int k)
{
    int32_t at[3] = {k / (g->kernel[1] * g->kernel[2]), k / g->kernel[2] % g->kernel[1],
                     k % g->kernel[2]};

    for (int a = 0; a < 3; a++) {
        int32_t shift = g->subm ? (at[a] - g->kernel[a] / 2) * g->dilation[a]
                                : at[a] * g->dilation[a] - g->padding[a];
        int32_t stride = g->subm ? 1 : g->stride[a];

        if (g->inverse ? o[a] != i[a] * stride + shift : i[a] != o[a] * stride + shift)
            return false;
    }
    return true;
}

/* Every (out, k) has its pair exactly where some input site fits, in the defined order. */
static int pair_errors(const struct spc__pairs *p, const struct spc__geometry *g,
                       const struct spc__sites *in, const struct spc__sites *out)
{
    int64_t found = 0;
    int errors = 0;

    for (int64_t row = 0; row < out->count; row++) {
        int64_t w = row / p->window;

        for (int k = 0; k < p->offsets; k++) {
            const int64_t *start = p->start + w * (p->offsets + 1) + k;
            int32_t expected = -1, actual = -1;

            for (int32_t i = 0; i < in->count; i++)
                if (is_pair(g, in->coords + 3 * i, out->coords + 3 * row, k))
                    expected = i;
            for (int64_t e = start[0]; e < start[1]; e++) {
                errors += e > start[0] && p->out[e] <= p->out[e - 1];
                if (p->out[e] == row - w * p->window)
                    actual = p->in[e];
            }
            found += actual >= 0;
            errors += actual != expected;
        }
    }
    return errors + (found != p->num_pairs);
}

typedef void (*build_fn)(struct spc__pairs *pairs, const struct spc__geometry *geometry,
                         const struct spc__sites *in, const struct spc__sites *out, int window,
                         struct spc__pool *pool);

static void check_pairs(const struct spc__geometry *g, const struct spc__sites *in,
                        const struct spc__sites *out, int window)
{
    static const build_fn build[] = {spc__pairs_build, spc__pairs_build_c};

    for (int i = 0; i < 2; i++) {
        struct spc__pairs pairs;

        REQUIRE(!spc__pairs_init(&pairs, g->kernel[0] * g->kernel[1] * g->kernel[2],
                                 out->bound, window, NULL));
        build[i](&pairs, g, in, out, window, pool);
        CHECK_INT(pair_errors(&pairs, g, in, out), 0);
        spc__pairs_clear(&pairs);
    }
}

static int32_t below(int n)
{
    return rand() % n;
}

/* One random geometry: sites of the output, and the pairs of all three kinds. */
static void check_random(int32_t grid_z, unsigned percent)
{
    struct spc__geometry g = {0};
    int32_t in_grid[3] = {grid_z, 1 + below(11), 1 + below(20)}, out_grid[3];
    struct spc__sites in, out;
    struct dense d_in, d_out;
    int window = 1 + below(200);

    for (int a = 0; a < 3; a++) {
        g.kernel[a] = 1 + below(4);
        g.dilation[a] = 1 + below(2);
        g.stride[a] = 1 + below(3);
        g.padding[a] = below(g.kernel[a]);
        out_grid[a] = (in_grid[a] + 2 * g.padding[a] - g.dilation[a] * (g.kernel[a] - 1) - 1) /
                          g.stride[a] + 1;
        if (in_grid[a] + 2 * g.padding[a] < g.dilation[a] * (g.kernel[a] - 1) + 1)
            out_grid[a] = 1; /* no offset fits fully; sites must come out right all the same */
    }
    REQUIRE(!spc__sites_init(&in, in_grid, 100000, NULL));
    REQUIRE(!spc__sites_init(&out, out_grid, 100000, NULL));
    d_in = dense_new(in_grid);
    d_out = dense_new(out_grid);
    fill(&d_in, &in, percent);
    CHECK_INT(order_errors(&d_in, &in), 0);
    dense_strided(&d_in, &d_out, &g);
    CHECK(!spc__sites_from_strided(&out, &in, g.kernel, g.stride, g.padding, g.dilation, "node",
                                   pool, NULL));
    CHECK_INT(order_errors(&d_out, &out), 0);
    check_pairs(&g, &in, &out, window);
    g.inverse = true;
    check_pairs(&g, &out, &in, window);
    for (int a = 0; a < 3; a++)
        g.kernel[a] |= 1;
    g.inverse = false;
    g.subm = true;
    check_pairs(&g, &in, &in, window);
    free(d_in.on);
    free(d_out.on);
    spc__sites_clear(&in);
    spc__sites_clear(&out);
}

TEST(against_dense_grid)
{
    static const int32_t z[] = {1, 5, 41, 63, 64, 65, 130};

    srand(7);
    for (int round = 0; round < 6; round++)
        for (size_t i = 0; i < sizeof(z) / sizeof(z[0]); i++)
            check_random(z[i], z[i] > 5 ? 1 + (unsigned)round % 3 : (unsigned)round * 20);
}

int main(void)
{
    pool = spc__pool_create(3, NULL);
    if (!pool)
        return 1;
    RUN(site_order);
    RUN(input_refused);
    RUN(strided_bound);
    RUN(pairs_by_hand);
    RUN(against_dense_grid);
    spc__pool_destroy(pool);
    return test_result();
}
