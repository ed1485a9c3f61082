/* SPDX-License-Identifier: MIT */
/*
 * Pairs by columns, eight output rows at a time. As in pairs_columns.inc, but the window holds the
 * input columns of each row, not of each run: then an offset's list is one loop over rows, in
 * which the rows that have a partner are packed together. No branch depends on the data.
 */
#include "cpu/pairs_area.inc"

#include <immintrin.h>

#define LANES 8

struct row_window {
    uint64_t bit[SPC__MAX_WINDOW + LANES]; /* of each row in its column, spread; 0 behind them */
    uint64_t word[SPC__PAIRS_MAX_CELLS];   /* [Ky * Kx][room]: input columns, spread */
    uint32_t base[SPC__PAIRS_MAX_CELLS];
};

/* The input column of `rows` rows from one place on. Spoils LANES places behind the last. */
static inline void fill_rows(struct row_window *window, const struct cell *cell, int64_t at,
                             int64_t rows)
{
    __m512i word = _mm512_set1_epi64((long long)cell->word);
    __m256i base = _mm256_set1_epi32((int)cell->base);

    for (int64_t i = 0; i < rows; i += LANES) {
        _mm512_storeu_si512(window->word + at + i, word);
        _mm256_storeu_si256((__m256i *)(window->base + at + i), base);
    }
}

static void gather_rows(const struct spc__pairs_job *job, int64_t first, int64_t end, int room,
                        struct row_window *window)
{
    const struct spc__geometry *g = job->geometry;
    int32_t tile = -1;
    int64_t rows = 0;
    struct area area;

    while (first + rows < end) {
        const int32_t *c = job->out->coords + 3 * (first + rows);
        int32_t y = (int32_t)((uint32_t)c[1] % SPC__TILE_Y);
        int32_t x = (int32_t)((uint32_t)c[2] % SPC__TILE_X);
        int64_t at = rows, n;
        struct run run;

        if (spc__tile(job->out, c[1], c[2]) != tile) {
            tile = spc__tile(job->out, c[1], c[2]);
            load_area(job, &area, c[1] - y, c[2] - x);
        }
        run = run_at(job, first + rows, first, end);
        n = __builtin_popcountll(run.active);
        for (int32_t ky = 0; ky < g->kernel[1]; ky++)
            for (int32_t kx = 0; kx < g->kernel[2]; kx++, at += room)
                fill_rows(window, &area.cells[area.at_y[y][ky] + area.at_x[x][kx]], at, n);
        for (uint64_t bits = run.active; bits; bits &= bits - 1)
            window->bit[rows++] = bits & -bits;
    }
    _mm512_storeu_si512(window->bit + rows, _mm512_setzero_si512());
}

/* Appends the pairs through one offset: the rows whose bit, shifted to the input side, is set in
 * their input column. Spoils LANES entries behind the last. */
static int64_t list_rows_of(const struct row_window *window, int64_t at, int64_t rows,
                            int32_t shift, int32_t *in, uint16_t *out, int64_t place)
{
    const __m128i right = _mm_cvtsi32_si128(shift > 0 ? shift : 0);
    const __m128i left = _mm_cvtsi32_si128(shift < 0 ? -shift : 0);
    __m128i row = _mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7);

    for (int64_t i = 0; i < rows; i += LANES, row = _mm_add_epi16(row, _mm_set1_epi16(LANES))) {
        __m512i word = _mm512_loadu_si512(window->word + at + i);
        __m512i bit = _mm512_srl_epi64(
            _mm512_sll_epi64(_mm512_loadu_si512(window->bit + i), right), left);
        __m512i below = _mm512_add_epi64(bit, _mm512_set1_epi64(-1));
        __m256i rank = _mm512_cvtepi64_epi32(
            _mm512_popcnt_epi64(_mm512_and_si512(word, below)));
        __m256i base = _mm256_loadu_si256((const __m256i *)(window->base + at + i));
        __mmask8 hit = _mm512_test_epi64_mask(word, bit);

        _mm256_storeu_si256((__m256i *)(in + place),
                            _mm256_maskz_compress_epi32(hit, _mm256_add_epi32(base, rank)));
        _mm_storeu_si128((__m128i *)(out + place), _mm_maskz_compress_epi16(hit, row));
        place += __builtin_popcount(hit);
    }
    return place;
}

void spc__pairs_columns_avx512(const struct spc__pairs_job *job, int64_t first_row,
                               int64_t end_row, int64_t *start)
{
    const struct spc__geometry *g = job->geometry;
    int32_t plane = g->kernel[1] * g->kernel[2];
    int room = job->pairs->window + SPC__PAIRS_SLACK;
    struct row_window window;

    gather_rows(job, first_row, end_row, room, &window);
    for (int32_t kz = 0; kz < g->kernel[0]; kz++)
        for (int32_t p = 0; p < plane; p++, start++)
            start[1] = list_rows_of(&window, (int64_t)p * room, end_row - first_row,
                                    shift_of(g, kz), job->pairs->in, job->pairs->out, start[0]);
}
