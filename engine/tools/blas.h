/* SPDX-License-Identifier: MIT */
/* OpenBLAS's sgemm as a yardstick. The library is loaded when it is asked for and not before: its
 * buffers would show in the memory that is measured. */
#ifndef SPC_TOOLS_BLAS_H
#define SPC_TOOLS_BLAS_H

struct blas;

/* Loads OpenBLAS and makes matrices of `size` x `size`. NULL, with a line in `why`, where that
 * fails. */
struct blas *blas_open(int size, char why[256]);
void blas_close(struct blas *blas);
/* The kernels that OpenBLAS chose: "SkylakeX", "Haswell", ... */
const char *blas_core(const struct blas *blas);
/* One product on `threads` threads; GFLOP/s. */
double blas_sgemm(struct blas *blas, int threads);

#endif
