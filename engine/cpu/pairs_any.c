/* SPDX-License-Identifier: MIT */
/* Pairs by columns and by rows, for any processor. */
#define COLUMNS spc__pairs_columns_any
#define ROWS spc__pairs_rows_any
#include "cpu/pairs_columns.inc"
#include "cpu/pairs_rows.inc"
