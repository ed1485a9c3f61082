# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
#
# Sourced by the scripts beside it: packages, build, and the environment of a build folder.
# Sets root (the project), build (the build folder, default root/build) and demo_model.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${SPC_BUILD:-$root/build}
demo_model=$build/demo/demo.onnx

# Elements of this build, and a registry of its own: what the user has installed stays untouched.
export GST_PLUGIN_PATH=$build/gst-spconv${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}
export GST_REGISTRY=$build/gst-registry.bin
export PATH=$build/engine/tools:$PATH

# Runs a command quietly; shows what it said only where it fails.
quietly()
{
    local log
    log=$(mktemp)
    "$@" >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; return 1; }
    rm -f "$log"
}

# Builds the plugin, the tools and the demo's network: all of it the first time, else what changed.
build_all()
{
    if [ -z "${SPC_BUILD:-}" ]; then
        "$root/pipelines/setup" build
        [ -f "$build/build.ninja" ] || quietly meson setup "$build" "$root"
        quietly ninja -C "$build" gst-spconv/libgstspconv.so \
            engine/tools/spc-infer engine/tools/spc-compare engine/tools/spc-bench
    fi
    mkdir -p "$build/demo"
    if [ ! -f "$demo_model" ] || [ "$root/pipelines/demo_model.py" -nt "$demo_model" ] ||
        [ "$root/engine/python/spcmodel.py" -nt "$demo_model" ]; then
        python3 "$root/pipelines/demo_model.py" "$demo_model"
    fi
}
