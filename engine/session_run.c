/* SPDX-License-Identifier: MIT */
/* Frames through a session: everything a caller can get wrong is refused here, so that backends
 * compute on arguments they can trust. What lies in the arrays is the backend's to check. */
#include "session.h"

#include "base/error.h"
#include "base/options.h"

#include <inttypes.h>

static bool misaligned(const void *pointer, size_t unit)
{
    return (uintptr_t)pointer % unit != 0;
}

static enum spc_status check_memory(const struct spc_session *session, enum spc_memory memory,
                                    const char *what, struct spc_error *err)
{
    if (memory == SPC_MEMORY_HOST)
        return SPC_OK;
    if (memory != SPC_MEMORY_CUDA)
        return spc__fail(err, SPC_ERR_ARGUMENT, "%s: memory kind %d is not known", what, memory);
    if (!session->backend->device_memory)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "%s: backend \"%s\" takes no CUDA memory; copy to host memory, or create "
                         "the session with backend \"cuda\"",
                         what, session->backend->name);
    return SPC_OK;
}

static enum spc_status check_voxels(const struct spc_session *session,
                                    const struct spc_voxels *voxels, struct spc_error *err)
{
    if (voxels->feature_type != SPC_DTYPE_F32 && voxels->feature_type != SPC_DTYPE_F16)
        return spc__fail(err, SPC_ERR_ARGUMENT, "features are %s; float32 and float16 are possible",
                         spc_dtype_name(voxels->feature_type));
    if (check_memory(session, voxels->memory, "voxels", err) ||
        spc__check_reserved(voxels->reserved, SPC__COUNT(voxels->reserved), "spc_voxels", err))
        return SPC_ERR_ARGUMENT;
    if (voxels->device_count && voxels->memory != SPC_MEMORY_CUDA)
        return spc__fail(err, SPC_ERR_ARGUMENT, "voxels: device_count is for CUDA memory only");
    if (voxels->num_voxels < 0)
        return spc__fail(err, SPC_ERR_ARGUMENT, "num_voxels is %" PRId64, voxels->num_voxels);
    if (voxels->num_voxels > session->plan.max_voxels && !voxels->device_count)
        return spc__fail(err, SPC_ERR_CAPACITY,
                         "the frame has %" PRId64 " voxels, the session takes at most %" PRId64
                         "; raise max_voxels",
                         voxels->num_voxels, session->plan.max_voxels);
    if (voxels->num_voxels && (!voxels->features || !voxels->indices))
        return spc__fail(err, SPC_ERR_ARGUMENT, "%s is NULL for %" PRId64 " voxels",
                         voxels->features ? "indices" : "features", voxels->num_voxels);
    if (misaligned(voxels->features, spc_dtype_size(voxels->feature_type)) ||
        misaligned(voxels->indices, sizeof(int32_t)))
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "features or indices are not aligned to their element type");
    return SPC_OK;
}

static enum spc_status check_output(const struct spc_session *session, int i,
                                    const struct spc_output *output, struct spc_error *err)
{
    struct spc_output_info info;
    enum spc_dtype dtype;
    size_t size;

    if (check_memory(session, output->memory, "output", err) ||
        spc__check_reserved(output->reserved, SPC__COUNT(output->reserved), "spc_output", err))
        return SPC_ERR_ARGUMENT;
    if (!output->capacity)
        return SPC_OK;
    spc__session_describe(session, i, &info, &dtype, &size);
    if (output->capacity < size)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "output %d (%s): %zu bytes of room, %zu are needed (see "
                         "spc_session_get_output())",
                         i, info.name, output->capacity, size);
    if (!output->data)
        return spc__fail(err, SPC_ERR_ARGUMENT, "output %d (%s): data is NULL for %zu bytes", i,
                         info.name, output->capacity);
    if (misaligned(output->data, spc_dtype_size(dtype)))
        return spc__fail(err, SPC_ERR_ARGUMENT, "output %d (%s): data is not aligned to %s", i,
                         info.name, spc_dtype_name(dtype));
    if (output->memory == SPC_MEMORY_CUDA && misaligned(output->data, SPC_CUDA_ALIGNMENT))
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "output %d (%s): data in CUDA memory is not aligned to %d bytes", i,
                         info.name, SPC_CUDA_ALIGNMENT);
    return SPC_OK;
}

enum spc_status spc__session_check(const struct spc_session *session,
                                   const struct spc_voxels *voxels,
                                   const struct spc_output *outputs, int num_outputs,
                                   struct spc_error *err)
{
    enum spc_status status;

    if (!session || !voxels)
        return spc__fail(err, SPC_ERR_ARGUMENT, "spc_session_submit: %s is NULL",
                         session ? "voxels" : "session");
    if (num_outputs < 0 || num_outputs > spc_session_num_outputs(session))
        return spc__fail(err, SPC_ERR_ARGUMENT, "num_outputs is %d; the session has %d outputs",
                         num_outputs, spc_session_num_outputs(session));
    if (num_outputs && !outputs)
        return spc__fail(err, SPC_ERR_ARGUMENT, "outputs is NULL, num_outputs is %d", num_outputs);
    if (session->in_flight)
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "a frame is in flight; call spc_session_wait() before the next submit");
    status = check_voxels(session, voxels, err);
    for (int i = 0; i < num_outputs && !status; i++)
        status = check_output(session, i, &outputs[i], err);
    return status;
}

enum spc_status spc_session_submit(struct spc_session *session, const struct spc_voxels *voxels,
                                   struct spc_output *outputs, int num_outputs,
                                   struct spc_error *err)
{
    enum spc_status status = spc__session_check(session, voxels, outputs, num_outputs, err);

    if (!status)
        status = session->backend->submit(session->instance, voxels, outputs, num_outputs, err);
    if (!status)
        session->in_flight = true;
    return status;
}

enum spc_status spc_session_wait(struct spc_session *session, struct spc_error *err)
{
    if (!session)
        return spc__fail(err, SPC_ERR_ARGUMENT, "spc_session_wait: session is NULL");
    if (!session->in_flight)
        return spc__fail(err, SPC_ERR_ARGUMENT, "no frame is in flight; submit one first");
    session->in_flight = false;
    return session->backend->wait(session->instance, err);
}

enum spc_status spc_session_run(struct spc_session *session, const struct spc_voxels *voxels,
                                struct spc_output *outputs, int num_outputs, struct spc_error *err)
{
    enum spc_status status = spc_session_submit(session, voxels, outputs, num_outputs, err);

    return status ? status : spc_session_wait(session, err);
}
