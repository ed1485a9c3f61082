/* SPDX-License-Identifier: MIT */
/* Stands in for the CUDA backend in a build without it: present by name, never usable. */
#include "backend.h"
#include "base/error.h"
#include "voxel/voxelizer.h"

static enum spc_status stub_probe(int device, struct spc_error *err)
{
    (void)device;
    return spc__fail(err, SPC_ERR_BACKEND,
                     "backend \"cuda\" is not part of this build; use backend \"cpu\", or build "
                     "with -Dcuda=enabled");
}

static bool stub_supports(enum spc_precision precision)
{
    (void)precision;
    return false;
}

const struct spc__backend spc__backend_cuda = {
    .name = "cuda",
    .probe = stub_probe,
    .supports = stub_supports,
    .default_precision = SPC_PRECISION_FP16,
    .alignment = 64,
};

/* Found only through a backend that can be used. */
const struct spc__voxel_backend spc__voxel_cuda = {.name = "cuda"};
