/* SPDX-License-Identifier: MIT */
/* One activated value. Every version of a kernel must agree with it, bit for bit. */
#ifndef SPC_CPU_ACTIVATE_H
#define SPC_CPU_ACTIVATE_H

#include "base/act.h"

#include <math.h>

static inline float spc__activate(float x, enum spc__act act, float slope)
{
    switch (act) {
    case SPC__ACT_NONE:
        break;
    case SPC__ACT_RELU:
        return x < 0.0f ? 0.0f : x;
    case SPC__ACT_LEAKY_RELU:
        return x < 0.0f ? slope * x : x;
    case SPC__ACT_SIGMOID:
        return 1.0f / (1.0f + expf(-x));
    }
    return x;
}

#endif
