/* SPDX-License-Identifier: MIT */
/* Pairs by columns, for x86 processors that count and find bits in one instruction. */
#define COUNT spc__pairs_count_bmi2
#define WRITE spc__pairs_write_bmi2
#include "cpu/pairs_columns.inc"
