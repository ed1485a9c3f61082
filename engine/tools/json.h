/* SPDX-License-Identifier: MIT */
/* What printf cannot write as JSON. */
#ifndef SPC_TOOLS_JSON_H
#define SPC_TOOLS_JSON_H

#include <stdio.h>

/* A quoted string, escaped. */
void json_string(FILE *file, const char *text);
/* A number; null where JSON has none (NaN, infinity). */
void json_number(FILE *file, double value);
/* A number as a further field of an object. */
void json_field(FILE *file, const char *name, double value);

#endif
