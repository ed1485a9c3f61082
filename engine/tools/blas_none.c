/* SPDX-License-Identifier: MIT */
/* Stands in for blas.c in a build with -Dopenblas=disabled. */
#include "blas.h"

#include <stdio.h>
#include <stdlib.h>

struct blas *blas_open(int size, char why[256])
{
    (void)size;
    snprintf(why, 256, "this build leaves it out; build with -Dopenblas=enabled");
    return NULL;
}

void blas_close(struct blas *blas)
{
    (void)blas;
}

const char *blas_core(const struct blas *blas)
{
    (void)blas;
    return "none";
}

double blas_sgemm(struct blas *blas, int threads)
{
    (void)blas;
    (void)threads;
    return 0;
}
