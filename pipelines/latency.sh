#!/bin/bash
# SPDX-License-Identifier: MIT
#
# pipelines/latency.sh [ELEMENT ! ELEMENT ...] - milliseconds per element, by GStreamer's tracers.
# Without arguments: the demo's pipeline at the sensor's own rate (live), 60 frames.
set -euo pipefail
source "$(dirname "$0")/env.sh"
build_all

if [ $# -eq 0 ]; then
    set -- lidartestsrc is-live=true num-buffers="${SPC_DEMO_FRAMES:-60}" ! \
        lidarvoxelize ! spconvinfer model-file="$demo_model" ! fakesink
fi
python3 "$root/pipelines/measure.py" -- "$@"
