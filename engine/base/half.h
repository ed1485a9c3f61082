/* SPDX-License-Identifier: MIT */
/* IEEE binary16 in software: exact, round to nearest even. Fast versions are in cpu/. */
#ifndef SPC_BASE_HALF_H
#define SPC_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float spc__half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exponent = (h >> 10) & 0x1f;
    uint32_t mantissa = h & 0x3ff;
    uint32_t bits;
    float value;

    if (exponent == 0x1f) {
        bits = sign | 0x7f800000 | (mantissa << 13) | (mantissa ? 0x400000 : 0);
    } else if (exponent) {
        bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
    } else { /* zero or subnormal: mantissa * 2^-24 is exact in float */
        value = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &value, sizeof(bits));
        bits |= sign;
    }
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline uint16_t spc__half_from_float(float value)
{
    uint32_t bits, sign, magnitude, rounded;
    float scaled;

    memcpy(&bits, &value, sizeof(bits));
    sign = (bits >> 16) & 0x8000;
    magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x7f800000) /* infinity, or NaN made quiet with its payload's top kept */
        return (uint16_t)(sign | 0x7c00 |
                          (magnitude > 0x7f800000 ? 0x200 | ((magnitude >> 13) & 0x3ff) : 0));
    if (magnitude >= 0x477ff000) /* rounds to 65536 or beyond */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000) { /* a binary16 subnormal */
        memcpy(&scaled, &magnitude, sizeof(scaled));
        scaled += 0.5f; /* float's ulp at 0.5 is 2^-24, binary16's subnormal step */
        memcpy(&rounded, &scaled, sizeof(rounded));
        return (uint16_t)(sign | (rounded - 0x3f000000));
    }
    rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
    return (uint16_t)(sign | ((rounded - 0x38000000) >> 13));
}

#endif
