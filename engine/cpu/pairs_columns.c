/* SPDX-License-Identifier: MIT */
/* Pairs by columns, for any processor. */
#define WINDOW spc__pairs_window_columns
#include "cpu/pairs_columns.inc"
