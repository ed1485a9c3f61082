/* SPDX-License-Identifier: MIT */
/* Pairs by columns, for any processor. */
#define COUNT spc__pairs_count_columns
#define WRITE spc__pairs_write_columns
#include "cpu/pairs_columns.inc"
