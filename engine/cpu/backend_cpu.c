/* SPDX-License-Identifier: MIT */
/* The CPU backend's table. */
#include "cpu/instance.h"

#include <stdio.h>
#include <string.h>

static enum spc_status probe(int device, struct spc_error *err)
{
    (void)device;
    (void)err;
    return SPC_OK;
}

static bool supports(enum spc_precision precision)
{
    return precision == SPC_PRECISION_FP32 || precision == SPC_PRECISION_FP16;
}

/* The submit does the work. */
static enum spc_status wait_for_frame(void *instance, struct spc_error *err)
{
    (void)instance;
    (void)err;
    return SPC_OK;
}

void spc__cpu_processor(char *name, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];

    snprintf(name, size, "CPU");
    while (file && fgets(line, sizeof(line), file)) {
        const char *colon = strchr(line, ':');

        if (!strncmp(line, "model name", 10) && colon && colon[1]) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(name, size, "%s", colon + 2);
            break;
        }
    }
    if (file)
        fclose(file);
}

static void get_info(const void *instance, struct spc__backend_info *info)
{
    const struct spc__cpu *cpu = instance;

    memset(info, 0, sizeof(*info));
    memcpy(info->device, cpu->device, sizeof(info->device));
    snprintf(info->isa, sizeof(info->isa), "%s", cpu->kernels->isa);
    info->threads = spc__pool_threads(cpu->pool);
    info->host_bytes = cpu->host_bytes;
    info->shared_bytes = cpu->shared_bytes;
    info->num_steps = cpu->num_steps;
    info->frame_voxels = cpu->frame_voxels;
}

static void get_step(const void *instance, int i, struct spc_step_profile *profile)
{
    const struct spc__cpu *cpu = instance;

    *profile = cpu->steps[i].profile;
}

const struct spc__backend spc__backend_cpu = {
    .name = "cpu",
    .probe = probe,
    .supports = supports,
    .default_precision = SPC_PRECISION_FP32,
    .alignment = SPC__ALIGN,
    .create = spc__cpu_create,
    .destroy = spc__cpu_destroy,
    .submit = spc__cpu_submit,
    .wait = wait_for_frame,
    .get_info = get_info,
    .get_step = get_step,
};
