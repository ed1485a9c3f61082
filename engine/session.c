/* SPDX-License-Identifier: MIT */
#include <spc/spc.h>
