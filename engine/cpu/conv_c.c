/* SPDX-License-Identifier: MIT */
/* Reference of the convolution kernel. */
#include "cpu/kernels_c.h"

#include <math.h>

static void add_pair(const float *in, const float *weights, int cin, int panels, float *acc)
{
    for (int panel = 0; panel < panels; panel++)
        for (int c = 0; c < cin; c++)
            for (int o = 0; o < SPC__PANEL; o++) {
                float *sum = &acc[panel * SPC__PANEL + o];

                *sum = fmaf(in[c], weights[((int64_t)panel * cin + c) * SPC__PANEL + o], *sum);
            }
}

void spc__conv_c(const float *in, const int32_t *in_rows, const uint16_t *out_rows, int64_t pairs,
                 const float *weights, int cin, int panels, float *acc)
{
    for (int64_t p = 0; p < pairs; p++)
        add_pair(in + (int64_t)in_rows[p] * cin, weights, cin, panels,
                 acc + (int64_t)out_rows[p] * panels * SPC__PANEL);
}
