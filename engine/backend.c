/* SPDX-License-Identifier: MIT */
#include "backend.h"
