/* SPDX-License-Identifier: MIT */
/* See steps.h. */
#include "steps.h"

#include "timing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool steps_init(struct steps *steps, const struct spc_session *session, int max_frames)
{
    struct spc_session_info info;

    spc_session_get_info(session, &info);
    steps->count = info.num_steps;
    steps->frames = 0;
    steps->max_frames = max_frames;
    steps->last = calloc((size_t)info.num_steps + 1, sizeof(*steps->last));
    steps->samples = calloc((size_t)info.num_steps * (size_t)max_frames + 1,
                            sizeof(*steps->samples));
    if (steps->last && steps->samples)
        return true;
    steps_clear(steps);
    return false;
}

void steps_clear(struct steps *steps)
{
    free(steps->last);
    free(steps->samples);
    memset(steps, 0, sizeof(*steps));
}

void steps_add(struct steps *steps, const struct spc_session *session)
{
    for (int i = 0; i < steps->count; i++) {
        spc_session_get_step(session, i, &steps->last[i], NULL);
        steps->samples[i * steps->max_frames + steps->frames] = steps->last[i].milliseconds;
    }
    steps->frames++;
}

void steps_finish(struct steps *steps)
{
    for (int i = 0; i < steps->count; i++)
        steps->last[i].milliseconds =
            timing_of(steps->samples + i * steps->max_frames, steps->frames).median;
}

bool steps_is_index(const struct spc_step_profile *step)
{
    return !strcmp(step->op, "index");
}

double steps_gflop(const struct steps *steps)
{
    double sum = 0;

    for (int i = 0; i < steps->count; i++)
        sum += steps->last[i].gflop;
    return sum;
}

double steps_index_ms(const struct steps *steps)
{
    double sum = 0;

    for (int i = 0; i < steps->count; i++)
        if (steps_is_index(&steps->last[i]))
            sum += steps->last[i].milliseconds;
    return sum;
}

static void print_step(const struct spc_step_profile *s, double whole, int width)
{
    char channels[32] = "";

    if (s->out_channels)
        snprintf(channels, sizeof(channels), "%" PRId32 ">%" PRId32, s->in_channels,
                 s->out_channels);
    printf("%-*s  %-17s %9s %10.3f %9" PRId64 " %9" PRId64 " %9" PRId64, width, s->name, s->op,
           channels, s->milliseconds, s->sites_in, s->sites_out, s->pairs);
    if (s->gflop > 0 && s->milliseconds > 0)
        printf(" %8.4f %8.1f", s->gflop, s->gflop / s->milliseconds * 1e3);
    else
        printf(" %8s %8s", "", "");
    printf(" %5.1f\n", whole > 0 ? 100 * s->milliseconds / whole : 0);
}

void steps_print(const struct steps *steps)
{
    double whole = 0, gflop = steps_gflop(steps);
    int width = 4;

    for (int i = 0; i < steps->count; i++) {
        int length = (int)strlen(steps->last[i].name);

        whole += steps->last[i].milliseconds;
        width = length > width ? length : width;
    }
    printf("%-*s  %-17s %9s %10s %9s %9s %9s %8s %8s %5s\n", width, "step", "op", "channels", "ms",
           "sites in", "sites out", "pairs", "GFLOP", "GFLOP/s", "%");
    for (int i = 0; i < steps->count; i++)
        print_step(&steps->last[i], whole, width);
    printf("%-*s  %-17s %9s %10.3f %9s %9s %9s %8.4f %8.1f\n", width, "all", "", "", whole, "", "",
           "", gflop, whole > 0 ? gflop / whole * 1e3 : 0);
}
