/* SPDX-License-Identifier: MIT */
#include "base/pool.h"

#include "base/error.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A frame is some dozens of runs a few hundred microseconds apart: waiting threads spin about this
 * many times before they sleep, which saves the wake-up between the steps of a frame. */
#define SPINS 4000

struct spc__pool {
    int threads;
    pthread_t *ids; /* [threads - 1] */
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    atomic_uint generation; /* counts runs; changed under the lock */
    atomic_int busy;        /* helpers that still work on this run */
    atomic_bool quit;
    atomic_int_fast64_t next;
    int64_t tasks;
    spc__task_fn fn;
    void *context;
};

struct start {
    struct spc__pool *pool;
    int worker;
};

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void work(struct spc__pool *pool, int worker)
{
    int64_t task;

    while ((task = atomic_fetch_add(&pool->next, 1)) < pool->tasks)
        pool->fn(pool->context, task, worker);
}

static unsigned wait_for_run(struct spc__pool *pool, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&pool->generation) != seen)
            return seen + 1;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->generation) == seen)
        pthread_cond_wait(&pool->wake, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    return seen + 1;
}

static void *helper_main(void *argument)
{
    struct start start = *(struct start *)argument;
    struct spc__pool *pool = start.pool;
    unsigned seen = 0;

    free(argument);
    for (;;) {
        seen = wait_for_run(pool, seen);
        if (atomic_load(&pool->quit))
            return NULL;
        work(pool, start.worker);
        if (atomic_fetch_sub(&pool->busy, 1) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
    }
}

static void start_generation(struct spc__pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->generation, 1);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

static void wait_for_helpers(struct spc__pool *pool)
{
    for (int i = 0; i < SPINS; i++) {
        if (!atomic_load(&pool->busy))
            break;
        pause_briefly();
    }
    /* The lock is taken even when all are done: the last helper may still be inside it. */
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->busy))
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

static bool start_helper(struct spc__pool *pool, int worker)
{
    struct start *start = spc__alloc(1, sizeof(*start));

    if (!start)
        return false;
    start->pool = pool;
    start->worker = worker;
    if (pthread_create(&pool->ids[worker - 1], NULL, helper_main, start)) {
        free(start);
        return false;
    }
    return true;
}

struct spc__pool *spc__pool_create(int threads, struct spc_error *err)
{
    struct spc__pool *pool = spc__alloc_zeroed(1, sizeof(*pool));
    pthread_t *ids = spc__alloc((size_t)threads, sizeof(*ids));

    if (!pool || !ids) {
        free(pool);
        free(ids);
        spc__fail_memory(err, sizeof(*pool), "threads");
        return NULL;
    }
    pool->ids = ids;
    pool->threads = 1;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    while (pool->threads < threads) {
        if (!start_helper(pool, pool->threads)) {
            spc__fail(err, SPC_ERR_MEMORY, "cannot start thread %d of %d; ask for fewer threads",
                      pool->threads + 1, threads);
            spc__pool_destroy(pool);
            return NULL;
        }
        pool->threads++;
    }
    return pool;
}

void spc__pool_destroy(struct spc__pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->quit, true);
    start_generation(pool);
    for (int i = 0; i < pool->threads - 1; i++)
        pthread_join(pool->ids[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->lock);
    free(pool->ids);
    free(pool);
}

int spc__pool_threads(const struct spc__pool *pool)
{
    return pool->threads;
}

void spc__pool_run(struct spc__pool *pool, int64_t tasks, spc__task_fn fn, void *context)
{
    if (pool->threads == 1 || tasks <= 1) {
        for (int64_t task = 0; task < tasks; task++)
            fn(context, task, 0);
        return;
    }
    pool->tasks = tasks;
    pool->fn = fn;
    pool->context = context;
    atomic_store(&pool->next, 0);
    atomic_store(&pool->busy, pool->threads - 1);
    start_generation(pool);
    work(pool, 0);
    wait_for_helpers(pool);
}
