#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""spc-bench on a small golden model: what it measures is there and consistent.

bench.py SPC-BENCH GOLDEN
"""
import os
import sys

from tooltest import Tool, check, finish, temporary_folder

tool, golden = Tool(sys.argv[1]), sys.argv[2]
TINY = ["--model", golden + "/models/tiny.onnx", "--repeat", 3, "--warmup", 1]
FRAME = ["--features", golden + "/frames/tiny.some.features.npy",
         "--indices", golden + "/frames/tiny.some.indices.npy"]


def test_rows():
    code, rows = tool.json(*TINY, *FRAME, "--threads", "1,2", "--voxels", "10,90", "--json")
    check(code == 0 and len(rows) == 4, "%d rows" % len(rows))
    for row, (threads, voxels) in zip(rows, ((1, 10), (1, 90), (2, 10), (2, 90))):
        check((row["threads"], row["voxels"]) == (threads, voxels), "row %s" % row)
        check(0 < row["min_ms"] <= row["ms"] <= row["p99_ms"], "times of %s" % row)
        check(row["index_ms"] > 0 and row["gflop"] > 0 and row["peak_mb"] > 1, "row %s" % row)
        check(abs(row["gflops"] - row["gflop"] / row["ms"] * 1e3) < 1e-9 * row["gflops"], "rate")
    check(rows[0]["gflop"] == rows[2]["gflop"] < rows[1]["gflop"], "work")


def test_isas_and_made_up_frames():
    code, rows = tool.json(*TINY, "--all-isas", "--threads", 1, "--json")
    check(code == 0 and rows[0]["isa"] == "c", "--all-isas")
    check(len({row["isa"] for row in rows}) == len(rows), "an instruction set twice")
    check(len({row["gflop"] for row in rows}) == 1 and rows[0]["voxels"] > 100, "made-up frame")
    code, out, _ = tool.run(*TINY, "--threads", 1, "--voxels", "50", "--steps")
    check(code == 0 and "peak MB" in out and "conv1+add0+relu0" in out, "--steps: %r" % out)


def test_blas():
    code, out, err = tool.run(*TINY, "--threads", 1, "--blas")
    if code == 2:
        check("--blas: " in err, "OpenBLAS is missing without a reason: %r" % err)
        print("without OpenBLAS: " + err.strip())
        return
    check(code == 0 and "sgemm" in out and "peak MB" not in out and "kernels" in out, "--blas")


def test_tuning():
    """The CPU has one kernel for each node: it says so, and writes no file."""
    cpu = TINY + ["--backend", "cpu", "--threads", 1]
    with temporary_folder() as folder:
        path = os.path.join(folder, "tuning.txt")
        code, _, err = tool.run(*cpu, "--tune", path, "--verbose")
        check(code == 0 and "has nothing to tune" in err, "--tune: %r" % err)
        check(not os.path.exists(path), "--tune on the CPU writes a file")
        code, _, _ = tool.run(*cpu, "--tuning-cache", path)
        check(code == 0, "--tuning-cache")


def test_refusals():
    tool.refused("--model is missing")
    tool.refused("belong together", *TINY, "--features", "x.npy")
    tool.refused("separated by commas", *TINY, "--threads", "1,x")
    tool.refused("separated by commas", *TINY, "--threads", "0")
    tool.refused("separated by commas", *TINY, "--voxels", "1,")
    tool.refused("the frame has 90", *TINY, *FRAME, "--voxels", "91")
    tool.refused("nonsense", *TINY, "--isa", "nonsense")


tool.has_manual()
for test in (test_rows, test_isas_and_made_up_frames, test_blas, test_tuning,
             test_refusals):
    test()
finish()
