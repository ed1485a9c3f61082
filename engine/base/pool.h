/* SPDX-License-Identifier: MIT */
/*
 * A pool of threads that work through numbered tasks together.
 *
 * The caller works too, so a pool of n threads starts n - 1. Tasks are handed out in ascending
 * order, one at a time; which thread gets which is not defined, so a task must write only what no
 * other task of the run writes. That is what keeps results independent of the number of threads.
 */
#ifndef SPC_BASE_POOL_H
#define SPC_BASE_POOL_H

#include <spc/spc.h>

struct spc__pool;

/* `worker` is 0 .. threads-1: the number of the thread, for scratch memory. */
typedef void (*spc__task_fn)(void *context, int64_t task, int worker);

/* `threads` >= 1. NULL where threads or memory are short, with the reason in `err`. */
struct spc__pool *spc__pool_create(int threads, struct spc_error *err);
void spc__pool_destroy(struct spc__pool *pool);
int spc__pool_threads(const struct spc__pool *pool);

/* Calls fn(context, t, worker) for every t in 0 .. tasks-1 and returns when all are done.
 * One run at a time per pool; allocates nothing. */
void spc__pool_run(struct spc__pool *pool, int64_t tasks, spc__task_fn fn, void *context);

#endif
