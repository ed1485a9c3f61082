#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real networks on real frames against exact results and against NVIDIA's library.

    shared_data.py SPC-INFER SPC-COMPARE WORK-FOLDER [--quick] [--backend NAME]

The data are found through SPC_TEST_DATA and are no part of the tree: without them the test is
skipped. Bounds: fp32 1e-5 relative L2 to the exact result; fp16 2e-3 to it, and a cosine of
0.99998 to the other library's fp16. With --quick (sanitizers) one network only.
"""
import os
import shutil
import subprocess
import sys

SKIP = 77
INFER, COMPARE, WORK = sys.argv[1:4]
BACKEND = sys.argv[sys.argv.index("--backend") + 1] if "--backend" in sys.argv else "cpu"
DATA = os.environ.get("SPC_TEST_DATA", "")

# model, frame, index order, name of a sparse output, whether there is a libspconv-fp16 result
CASES = [
    ("centerpoint", "centerpoint", "zyx", None, True),
    ("bevfusion_zyx", "bevfusion", "zyx", None, False),
    ("bevfusion_xyz", "bevfusion", "xyz", None, True),
    ("unet32", "bevfusion", "zyx", "22", False),
]
FP32_BOUND = ["--max-rel-l2", "1e-5"]
FP16_BOUND = ["--max-rel-l2", "2e-3"]
LIBSPCONV_BOUND = ["--min-cosine", "0.99998"]

failures = []


def skip(reason):
    print("SKIP: " + reason)
    sys.exit(SKIP)


def expected(name):
    """Path of an unpacked expected tensor; None, and a failure, where the data lacks it."""
    packed = os.path.join(DATA, "expected", name + ".tensor.zst")
    unpacked = os.path.join(WORK, name + ".tensor")
    if not os.path.exists(packed):
        failures.append("there is no " + packed)
        return None
    if not os.path.exists(unpacked) or os.path.getmtime(unpacked) < os.path.getmtime(packed):
        subprocess.run(["zstd", "-dqf", packed, "-o", unpacked + ".part"], check=True)
        os.replace(unpacked + ".part", unpacked)
    return unpacked


def infer(case, precision, output, *more):
    model, frame, order, _, _ = case
    frames = os.path.join(DATA, "frames")
    done = subprocess.run(
        [INFER, "--model", os.path.join(DATA, "models", model + ".ptq.onnx"),
         "--features", os.path.join(frames, frame + ".features.tensor"),
         "--indices", os.path.join(frames, "%s.indices_%s.tensor" % (frame, order)),
         "--backend", BACKEND, "--precision", precision, "--output", output, *more],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        failures.append("%s %s: %s" % (model, precision, done.stdout.strip()))
    return done.returncode == 0


def compare(title, output, reference, *more):
    if reference is None:
        return  # said already
    done = subprocess.run([COMPARE, output, reference, *more], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    numbers = [line for line in done.stdout.splitlines()
               if line.startswith(("[relative", "[cosine"))]
    print("%-4s %-40s %s" % ("FAIL" if done.returncode else "ok", title, "  ".join(numbers)))
    sys.stdout.flush()
    if done.returncode:
        failures.append("%s: %s" % (title, done.stdout.strip().splitlines()[-1]))


def run_case(case):
    model, _, _, sparse, has_libspconv = case
    output = os.path.join(WORK, "output.tensor")
    exact = expected(model + ".fp32")
    if exact is None:
        return
    if infer(case, "fp32", output):
        compare(model + " fp32", output, exact, *FP32_BOUND)
    if infer(case, "fp16", output, "--output-type", "float32"):
        compare(model + " fp16", output, exact, *FP16_BOUND)
        if has_libspconv:
            compare(model + " fp16 to libspconv", output, expected(model + ".libspconv-fp16"),
                    *LIBSPCONV_BOUND)
    if sparse:
        for precision, bound in (("fp32", FP32_BOUND), ("fp16", FP16_BOUND)):
            features = expected(model + ".fp32.out1.features")
            indices = expected(model + ".fp32.out1.indices")
            if infer(case, precision, output, "--output-name", sparse) and features and indices:
                compare("%s %s sparse" % (model, precision), output, features, *bound,
                        "--indices-a", os.path.join(WORK, "output.indices.tensor"),
                        "--indices-b", indices)


if not os.path.isdir(os.path.join(DATA, "models")):
    skip("no data at SPC_TEST_DATA (%s)" % DATA)
if not shutil.which("zstd"):
    skip("the program zstd is missing")
os.makedirs(WORK, exist_ok=True)
for each in CASES[-1:] if "--quick" in sys.argv else CASES:
    run_case(each)
for failure in failures:
    print("FAIL " + failure)
sys.exit(1 if failures else 0)
