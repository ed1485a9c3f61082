/* SPDX-License-Identifier: MIT */
/* See json.h. */
#include "json.h"

#include <math.h>

void json_string(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            fprintf(file, "\\%c", c);
        else if (c < 0x20)
            fprintf(file, "\\u%04x", c);
        else
            fputc(c, file);
    }
    fputc('"', file);
}

void json_field(FILE *file, const char *name, double value)
{
    fprintf(file, ", \"%s\": ", name);
    json_number(file, value);
}

void json_number(FILE *file, double value)
{
    if (isfinite(value))
        fprintf(file, "%.17g", value);
    else
        fputs("null", file);
}
