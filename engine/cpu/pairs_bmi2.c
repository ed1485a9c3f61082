/* SPDX-License-Identifier: MIT */
/* Pairs by columns and by rows, for x86 processors that count and find bits in one instruction. */
#define COLUMNS spc__pairs_columns_bmi2
#define ROWS spc__pairs_rows_bmi2
#include "cpu/pairs_columns.inc"
#include "cpu/pairs_rows.inc"
