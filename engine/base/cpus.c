/* SPDX-License-Identifier: MIT */
#include "base/cpus.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>

/* Beyond any kernel's limit. */
#define MAX_CPUS (1 << 16)

static int affinity_cpus(void)
{
    /* The kernel refuses a mask smaller than its own, however few processors there are. */
    for (int most = 1024; most <= MAX_CPUS; most *= 2) {
        cpu_set_t *set = CPU_ALLOC(most);
        size_t size = CPU_ALLOC_SIZE(most);
        int count = 0;

        if (!set)
            return 1;
        if (!sched_getaffinity(0, size, set))
            count = CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (count)
            return count;
    }
    return 1;
}

int spc__quota_cpus(const char *path)
{
    FILE *file = fopen(path, "r");
    long quota, period;
    int cpus = 0;

    if (!file)
        return 0;
    /* "max 100000" or "150000 100000": microseconds of time in each period. */
    if (fscanf(file, "%ld %ld", &quota, &period) == 2 && quota > 0 && period > 0 &&
        quota / period < INT_MAX)
        cpus = (int)((quota - 1) / period) + 1;
    fclose(file);
    return cpus;
}

int spc__available_cpus(void)
{
    int cpus = affinity_cpus(), quota = spc__quota_cpus("/sys/fs/cgroup/cpu.max");

    return quota && quota < cpus ? quota : cpus;
}
