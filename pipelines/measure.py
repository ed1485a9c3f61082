#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run a pipeline with GStreamer's latency tracer and say what each element cost.

    measure.py [--json] [--count NAME=BYTES[:HEADER]] -- ELEMENT ! ELEMENT ...

Prints the milliseconds a frame spends in each element (median and 99th percentile, from sink pad
to source pad; what an element pushes on in the same thread is not counted), and frames a second.
With --count, the buffers that pass `identity name=NAME silent=false` are counted as items of BYTES
bytes each behind HEADER bytes: points of 20 bytes, say. A queue counts the time frames wait in it.
"""
import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile

ELEMENT = re.compile(r"\belement-latency, .*element=\(string\)([^,;]+),.*"
                     r"time=\(guint64\)(\d+), ts=\(guint64\)(\d+)")
CHAIN = re.compile(r"last-message = chain\s+\*+ \((\w+):sink\) \((\d+) bytes")


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def check_tracer(env):
    """The tracer of GStreamer 1.26.2 blocks on a pad's lock, whatever the pipeline is."""
    try:
        subprocess.run(["gst-launch-1.0", "-q", "fakesrc", "num-buffers=1", "!", "fakesink"],
                       env=dict(env, GST_DEBUG="0"), timeout=30, check=True)
    except subprocess.TimeoutExpired:
        print("measure.py: the latency tracer of this GStreamer hangs (1.26.2 does): nothing can "
              "be measured here, use another version", file=sys.stderr)
        sys.exit(77)  # Meson: skipped
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit("measure.py: gst-launch-1.0 does not work here: %s" % error)


def run(pipeline):
    """The tracer's lines, and what gst-launch printed."""
    env = dict(os.environ, GST_TRACERS="latency(flags=pipeline+element)",
               GST_DEBUG="GST_TRACER:7", GST_DEBUG_NO_COLOR="1")
    check_tracer(env)
    with tempfile.NamedTemporaryFile("r", suffix=".log", errors="replace") as log:
        env["GST_DEBUG_FILE"] = log.name
        result = subprocess.run(["gst-launch-1.0", "-v"] + pipeline, env=env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode:
            lines = [line for line in result.stdout.splitlines() if " = " not in line]
            sys.exit("\n".join(lines) + "\nmeasure.py: the pipeline failed")
        return log.readlines(), result.stdout


def element_times(lines):
    times, stamps = collections.OrderedDict(), []
    for line in lines:
        match = ELEMENT.search(line)
        if match:
            times.setdefault(match.group(1), []).append(int(match.group(2)) / 1e6)
            stamps.append((int(match.group(3)) / 1e9, match.group(1)))
    return times, stamps


def frame_rate(stamps):
    """Frames a second at the last element, from its first frame to its last."""
    if not stamps:
        return 0.0
    last = [t for t, name in stamps if name == stamps[-1][1]]
    return (len(last) - 1) / (last[-1] - last[0]) if len(last) > 1 else 0.0


def counts(text, wanted):
    totals = {}
    for name, size in CHAIN.findall(text):
        if name in wanted:
            item, header = wanted[name]
            totals.setdefault(name, []).append(max(0, int(size) - header) // item)
    return {name: sum(v) / len(v) for name, v in totals.items()}


def count_option(text):
    name, _, sizes = text.partition("=")
    item, _, header = sizes.partition(":")
    return name, (int(item), int(header or 0))


def main():
    if "--" not in sys.argv:
        sys.exit(__doc__)
    split = sys.argv.index("--")
    parser = argparse.ArgumentParser(prog="measure.py")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--count", action="append", type=count_option, default=[])
    args = parser.parse_args(sys.argv[1:split])

    lines, text = run(sys.argv[split + 1:])
    times, stamps = element_times(lines)
    rate = frame_rate(stamps)
    items = counts(text, dict(args.count))
    rows = [{"element": name, "frames": len(t), "median_ms": quantile(t, 0.5),
             "p99_ms": quantile(t, 0.99)} for name, t in times.items()
            if not name.startswith("capsfilter") and name not in items]
    if not rows:
        sys.exit("measure.py: the tracer saw no frame")
    if args.json:
        print(json.dumps({"elements": rows, "frames_per_second": rate, "items_per_frame": items}))
        return
    print("%-20s %8s %12s %12s" % ("element", "frames", "median ms", "p99 ms"))
    for row in rows:
        print("%-20s %8d %12.2f %12.2f" % (row["element"], row["frames"], row["median_ms"],
                                           row["p99_ms"]))
    print("%.1f frames/s" % rate)
    for name, mean in items.items():
        print("%.0f %s/s (%.0f a frame)" % (mean * rate, name, mean))


if __name__ == "__main__":
    main()
