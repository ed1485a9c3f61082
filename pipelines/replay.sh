#!/bin/bash
# SPDX-License-Identifier: MIT
#
# pipelines/replay.sh LOCATION FIELDS MODEL OUTPUT - recorded point files through a network.
#
#   LOCATION  a file, a printf pattern or a glob: 'drive/*.bin'
#   FIELDS    what a point holds: x,y,z,intensity,time
#   MODEL     an ONNX file that says its voxel size and range (metadata_props), or the demo's: demo
#   OUTPUT    folder for one picture a frame
#
# Without arguments it first records 5 frames of lidartestsrc, then replays them.
set -euo pipefail
source "$(dirname "$0")/env.sh"
build_all

if [ $# -eq 0 ]; then
    record=$build/demo/record
    mkdir -p "$record"
    rm -f "$record"/*
    gst-launch-1.0 -q lidartestsrc num-buffers=5 ! multifilesink location="$record/%03d.bin"
    set -- "$record/*.bin" x,y,z,intensity,time demo "$record"
fi
[ $# -eq 4 ] || { echo "usage: replay.sh LOCATION FIELDS MODEL OUTPUT" >&2; exit 2; }
model=$3
[ "$model" != demo ] || model=$demo_model
mkdir -p "$4"
gst-launch-1.0 -q lidarfilesrc location="$1" fields="$2" ! \
    lidarvoxelize ! spconvinfer model-file="$model" ! \
    bevrender ! pngenc ! multifilesink location="$4/%04d.png"
echo "pictures: $4/*.png"
