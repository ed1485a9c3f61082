/* SPDX-License-Identifier: MIT */
/* Benchmarks of the fast convolution's layers; see cuda_conv.c. */
#ifndef SPC_CHECK_CUDA_LAYERS_H
#define SPC_CHECK_CUDA_LAYERS_H

#include "check.h"

void bench_layers(struct check *check);
/* The same with few tiles, which blocks or teams may share. */
void bench_small_layers(struct check *check);

#endif
