/* SPDX-License-Identifier: MIT */
/* The public header compiles alone as C11, and the library is the header's version. */
#include <spc/spc.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    char version[32];

    snprintf(version, sizeof(version), "%d.%d.%d", SPC_VERSION_MAJOR, SPC_VERSION_MINOR,
             SPC_VERSION_MICRO);
    if (strcmp(version, spc_version())) {
        fprintf(stderr, "header %s, library %s\n", version, spc_version());
        return 1;
    }
    return 0;
}
