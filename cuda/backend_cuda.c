/* SPDX-License-Identifier: MIT */
/* The CUDA backend's table. */
#include "cuda/instance.h"

#include <stdio.h>
#include <string.h>

static enum spc_status probe(int device, struct spc_error *err)
{
    int found;

    return spc__cuda_find(device, &found, err);
}

static bool supports(enum spc_precision precision)
{
    return precision == SPC_PRECISION_FP32 || precision == SPC_PRECISION_FP16;
}

static void get_info(const void *instance, struct spc__backend_info *info)
{
    const struct spc__cuda *cuda = instance;

    memset(info, 0, sizeof(*info));
    memcpy(info->device, cuda->device_name, sizeof(info->device));
    snprintf(info->isa, sizeof(info->isa), "sm_%d%d", cuda->major, cuda->minor);
    info->host_bytes = cuda->memory.host_bytes;
    info->device_bytes = cuda->memory.device_bytes;
    info->shared_bytes = cuda->shared_bytes;
    info->num_steps = cuda->num_steps;
    info->frame_voxels = cuda->host_report->num_voxels;
}

static void get_step(const void *instance, int i, struct spc_step_profile *profile)
{
    const struct spc__cuda *cuda = instance;

    *profile = cuda->steps[i].profile;
}

const struct spc__backend spc__backend_cuda = {
    .name = "cuda",
    .probe = probe,
    .supports = supports,
    .default_precision = SPC_PRECISION_FP16,
    .alignment = 256,
    .device_memory = true,
    .create = spc__cuda_create,
    .destroy = spc__cuda_destroy,
    .submit = spc__cuda_submit,
    .wait = spc__cuda_wait,
    .choose = spc__cuda_choose,
    .tune = spc__cuda_tune,
    .get_info = get_info,
    .get_step = get_step,
};
