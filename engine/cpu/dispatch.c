/* SPDX-License-Identifier: MIT */
/* Choice of the kernels at run time. */
#include "base/error.h"
#include "cpu/kernels_c.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include "cpu/x86/kernels_x86.h"

#include <cpuid.h>
#elif defined(__aarch64__)
#include "cpu/arm/kernels_arm.h"
#endif

static const struct spc__kernels kernels_c = {
    .isa = "c",
    .conv = spc__conv_c,
    .finish_f32 = spc__finish_f32_c,
    .finish_f16 = spc__finish_f16_c,
    .add_f32 = spc__add_f32_c,
    .add_f16 = spc__add_f16_c,
    .widen = spc__widen_c,
    .narrow = spc__narrow_c,
    .scatter = spc__scatter_c,
};

static bool always(void)
{
    return true;
}

#if defined(__x86_64__)
static const struct spc__kernels kernels_avx2 = {
    .isa = "avx2",
    .conv = spc__conv_avx2,
    .finish_f32 = spc__finish_f32_avx2,
    .finish_f16 = spc__finish_f16_avx2,
    .add_f32 = spc__add_f32_avx2,
    .add_f16 = spc__add_f16_avx2,
    .widen = spc__widen_avx2,
    .narrow = spc__narrow_avx2,
    .scatter = spc__scatter_c,
};

static const struct spc__kernels kernels_avx512 = {
    .isa = "avx512",
    .conv = spc__conv_avx512,
    .finish_f32 = spc__finish_f32_avx2,
    .finish_f16 = spc__finish_f16_avx2,
    .add_f32 = spc__add_f32_avx2,
    .add_f16 = spc__add_f16_avx2,
    .widen = spc__widen_avx2,
    .narrow = spc__narrow_avx2,
    .scatter = spc__scatter_c,
};

static bool has_avx2(void)
{
    unsigned a, b, c, d;

    /* The builtin also asks whether the system saves the registers; not every compiler's knows
     * of F16C. */
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

#if defined(__aarch64__)
static const struct spc__kernels kernels_neon = {
    .isa = "neon",
    .conv = spc__conv_neon,
    .finish_f32 = spc__finish_f32_neon,
    .finish_f16 = spc__finish_f16_neon,
    .add_f32 = spc__add_f32_neon,
    .add_f16 = spc__add_f16_neon,
    .widen = spc__widen_neon,
    .narrow = spc__narrow_neon,
    .scatter = spc__scatter_c,
};
#endif

/* Slowest first; "auto" takes the last that the machine has. */
static const struct {
    const struct spc__kernels *kernels;
    bool (*usable)(void);
} tables[] = {
    {&kernels_c, always},
#if defined(__x86_64__)
    {&kernels_avx2, has_avx2},
    {&kernels_avx512, has_avx512},
#elif defined(__aarch64__)
    {&kernels_neon, always},
#endif
};

static const int num_tables = sizeof(tables) / sizeof(tables[0]);

const struct spc__kernels *spc__kernels_at(int i)
{
    for (int t = 0; t < num_tables; t++)
        if (tables[t].usable() && i-- == 0)
            return tables[t].kernels;
    return NULL;
}

static bool known(const char *isa)
{
    static const char *const names[] = {"c", "avx2", "avx512", "neon"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(isa, names[i]))
            return true;
    return false;
}

enum spc_status spc__kernels_select(const char *isa, const struct spc__kernels **kernels,
                                    struct spc_error *err)
{
    const struct spc__kernels *best = NULL, *next;
    bool automatic;

    if (!isa || !strcmp(isa, "auto"))
        isa = getenv("SPC_CPU_ISA");
    automatic = !isa || !*isa || !strcmp(isa, "auto");
    if (!automatic && !known(isa))
        return spc__fail(err, SPC_ERR_ARGUMENT,
                         "unknown instruction set \"%s\": use auto, c, avx2, avx512 or neon", isa);
    for (int i = 0; (next = spc__kernels_at(i)); i++)
        if (automatic || !strcmp(next->isa, isa))
            best = next;
    if (!best)
        return spc__fail(err, SPC_ERR_BACKEND,
                         "this machine has no %s; use isa auto for the best that it has", isa);
    *kernels = best;
    return SPC_OK;
}
