/* SPDX-License-Identifier: MIT */
/* See blas.h. */
#include "blas.h"

#include "timing.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cblas.h's values; the header need not be there. */
#define ROW_MAJOR 101
#define NO_TRANSPOSE 111

typedef void (*sgemm_fn)(int, int, int, int, int, int, float, const float *, int, const float *,
                         int, float, float *, int);

struct blas {
    void *library;
    sgemm_fn sgemm;
    void (*set_threads)(int);
    char *(*core)(void);
    int size;
    float *a, *b, *c;
};

static float *make_matrix(int size, float scale)
{
    size_t count = (size_t)size * (size_t)size;
    float *matrix = malloc(count * sizeof(*matrix));

    for (size_t i = 0; matrix && i < count; i++)
        matrix[i] = scale * (float)(i % 251);
    return matrix;
}

static void *find(struct blas *blas, const char *name)
{
    return dlsym(blas->library, name);
}

static int load(struct blas *blas, char why[256])
{
    static const char *const names[] = {"libopenblas.so.0", "libopenblas.so"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !blas->library; i++)
        blas->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!blas->library) {
        snprintf(why, 256, "OpenBLAS is not there: %s", dlerror());
        return 0;
    }
    *(void **)&blas->sgemm = find(blas, "cblas_sgemm");
    *(void **)&blas->set_threads = find(blas, "openblas_set_num_threads");
    *(void **)&blas->core = find(blas, "openblas_get_corename");
    if (!blas->sgemm || !blas->set_threads || !blas->core) {
        snprintf(why, 256, "this OpenBLAS lacks cblas_sgemm or its own calls");
        return 0;
    }
    return 1;
}

struct blas *blas_open(int size, char why[256])
{
    struct blas *blas = calloc(1, sizeof(*blas));

    snprintf(why, 256, "out of memory");
    if (!blas)
        return NULL;
    blas->size = size;
    if (!load(blas, why)) {
        blas_close(blas);
        return NULL;
    }
    blas->a = make_matrix(size, 1.0f);
    blas->b = make_matrix(size, 0.5f);
    blas->c = make_matrix(size, 0.0f);
    if (!blas->a || !blas->b || !blas->c) {
        snprintf(why, 256, "out of memory");
        blas_close(blas);
        return NULL;
    }
    return blas;
}

void blas_close(struct blas *blas)
{
    if (!blas)
        return;
    if (blas->library)
        dlclose(blas->library);
    free(blas->a);
    free(blas->b);
    free(blas->c);
    free(blas);
}

const char *blas_core(const struct blas *blas)
{
    return blas->core();
}

double blas_sgemm(struct blas *blas, int threads)
{
    int n = blas->size;
    double start;

    blas->set_threads(threads);
    start = timing_now();
    blas->sgemm(ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, n, n, n, 1.0f, blas->a, n, blas->b, n, 0.0f,
                blas->c, n);
    return 2.0 * n * n * n / 1e6 / (timing_now() - start);
}
