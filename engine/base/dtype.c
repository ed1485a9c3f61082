/* SPDX-License-Identifier: MIT */
#include <spc/spc.h>

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [SPC_DTYPE_NONE] = {"none", 0},    [SPC_DTYPE_F32] = {"float32", 4},
    [SPC_DTYPE_F16] = {"float16", 2},  [SPC_DTYPE_I8] = {"int8", 1},
    [SPC_DTYPE_U8] = {"uint8", 1},     [SPC_DTYPE_I32] = {"int32", 4},
    [SPC_DTYPE_U32] = {"uint32", 4},   [SPC_DTYPE_I64] = {"int64", 8},
    [SPC_DTYPE_U64] = {"uint64", 8},
};

size_t spc_dtype_size(enum spc_dtype dtype)
{
    return (unsigned)dtype < sizeof(dtypes) / sizeof(*dtypes) ? dtypes[dtype].size : 0;
}

const char *spc_dtype_name(enum spc_dtype dtype)
{
    return (unsigned)dtype < sizeof(dtypes) / sizeof(*dtypes) ? dtypes[dtype].name : "unknown";
}

const char *spc_precision_name(enum spc_precision precision)
{
    static const char *const names[] = {"auto", "fp32", "fp16", "int8"};

    return (unsigned)precision < 4 ? names[precision] : "unknown";
}

const char *spc_version(void)
{
    return STRINGIFY(SPC_VERSION_MAJOR) "." STRINGIFY(SPC_VERSION_MINOR) "." STRINGIFY(
        SPC_VERSION_MICRO);
}
