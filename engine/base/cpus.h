/* SPDX-License-Identifier: MIT */
/* How many processors a process should keep busy. */
#ifndef SPC_BASE_CPUS_H
#define SPC_BASE_CPUS_H

/* Processors that this process may use, at least 1: its affinity mask, and no more than the time
 * its control group (a container's limit) is given. */
int spc__available_cpus(void);

/* Processors' worth of time that a cgroup v2 `cpu.max` file grants, rounded up; 0: no limit. */
int spc__quota_cpus(const char *path);

#endif
