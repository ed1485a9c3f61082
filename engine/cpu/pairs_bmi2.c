/* SPDX-License-Identifier: MIT */
/* Pairs by columns, for x86 processors that count and find bits in one instruction. */
#define WINDOW spc__pairs_window_bmi2
#include "cpu/pairs_columns.inc"
