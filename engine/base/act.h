/* SPDX-License-Identifier: MIT */
/* Activations, named where graphs and kernels both see them. */
#ifndef SPC_BASE_ACT_H
#define SPC_BASE_ACT_H

enum spc__act {
    SPC__ACT_NONE,
    SPC__ACT_RELU,       /* x < 0 ? 0 : x; keeps NaN */
    SPC__ACT_LEAKY_RELU, /* x < 0 ? slope * x : x */
    SPC__ACT_SIGMOID,    /* 1 / (1 + exp(-x)) */
};

#endif
