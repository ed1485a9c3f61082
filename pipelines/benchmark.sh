#!/bin/bash
# SPDX-License-Identifier: MIT
#
# pipelines/benchmark.sh [MODEL FEATURES INDICES GRID [SETTING...]] - the engine alone beside the
# whole pipeline.
#
# Runs a frame of voxels through spc-infer and then, looped, through
# lidarfilesrc ! spconvinfer ! fakesink. GRID is the model's, in its index order: 41,1440,1440.
# SETTINGs are spconvinfer's: backend=cuda inflight=2. Without arguments: the demo's network on
# frames of lidartestsrc.
set -euo pipefail
source "$(dirname "$0")/env.sh"
build_all
frames=${SPC_DEMO_FRAMES:-50}

if [ $# -eq 0 ]; then
    echo "== $frames frames of lidartestsrc through the demo's network"
    python3 "$root/pipelines/measure.py" -- lidartestsrc num-buffers="$frames" ! \
        lidarvoxelize ! spconvinfer model-file="$demo_model" ! fakesink
    exit 0
fi
[ $# -ge 4 ] || { echo "usage: benchmark.sh MODEL FEATURES INDICES GRID [SETTING...]" >&2; exit 2; }
echo "== the engine alone"
spc-infer --model "$1" --features "$2" --indices "$3" --repeat "$frames" --warmup 2
echo "== the pipeline"
python3 "$root/pipelines/measure.py" -- lidarfilesrc location="$2" indices-location="$3" \
    grid-size="$4" loop=true num-buffers="$frames" ! spconvinfer model-file="$1" "${@:5}" ! fakesink
