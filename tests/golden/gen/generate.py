#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the golden models, frames, expected outputs and their manifest.

    generate.py [FOLDER]     default: tests/golden

models/NETWORK.onnx; frames/NETWORK.KIND.{features,indices}.npy, features float32 [N][C] that
binary16 holds exactly, indices int32 [N][4]; expected/NETWORK.KIND.npy, float32: the outputs one
after the other, sparse ones as [N][4 + C] with the index row in front, sorted.
"""
import hashlib
import os
import pathlib
import platform
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "engine" / "python")]

try:
    import numpy as np
except ImportError:
    print("SKIP: Python's numpy is needed to compute the expected outputs (python3-numpy)")
    sys.exit(77)

import cases  # noqa: E402
import reference  # noqa: E402

# Relative L2 and largest error relative to the largest value. fp16 stores every value with a
# relative error of 2^-11; networks of ten layers add up to some 1e-3.
TOLERANCE = {"fp32": (1e-6, 4e-6), "fp16": (2e-3, 6e-3)}


def sparse_rows(value, channels):
    sites = sorted(value.rows)
    rows = np.zeros((len(sites), 4 + channels), np.float32)
    for row, site in zip(rows, sites):
        row[1:4] = site
        row[4:] = value.rows[site]
    return rows


def write_case(folder, network, name, kind, lines):
    sites, rows = cases.frame(network, kind)
    if network.order == "xyz":
        sites = [s[::-1] for s in sites]
    features = np.array(rows, np.float16).astype(np.float32).reshape(-1, network.input.channels)
    indices = np.array([(0,) + s for s in sites], np.int32).reshape(-1, 4)
    stem = "frames/%s.%s" % (name, kind)
    np.save(folder / (stem + ".features.npy"), features)
    np.save(folder / (stem + ".indices.npy"), indices)
    (a, b), (c, d) = TOLERANCE["fp32"], TOLERANCE["fp16"]
    lines.append("case %s %s fp32 %g %g fp16 %g %g seed %d"
                 % (name, kind, a, b, c, d, network.seed))
    run = reference.Run(network, features, indices)
    expected = []
    for value in network.outputs:
        result = run.values[value.name]
        if isinstance(result, np.ndarray):
            expected.append(result.astype(np.float32).ravel())
            lines.append("dense %s %d" % (value.name, result.size))
        else:
            rows = sparse_rows(result, value.channels)
            expected.append(rows.ravel())
            lines.append("sparse %s %d %d" % (value.name, len(rows), value.channels))
    np.save(folder / ("expected/%s.%s.npy" % (name, kind)), np.concatenate(expected))


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent
    for sub in "models", "frames", "expected":
        os.makedirs(folder / sub, exist_ok=True)
        for old in (folder / sub).iterdir():
            old.unlink()
    networks = {build.__name__: build() for build in cases.NETWORKS}
    for name, network in networks.items():
        network.save(folder / "models" / (name + ".onnx"))
    lines = ["# Written by gen/generate.py with Python %s, numpy %s. For each case: network, kind"
             % (platform.python_version(), np.__version__),
             "# of frame, bounds (relative L2, largest error / largest value), then its outputs."]
    for name, kind in cases.CASES:
        write_case(folder, networks[name], name, kind, lines)
    for path in sorted(folder.glob("*/*")):
        if path.parent.name in ("models", "frames", "expected"):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append("file %s %s" % (digest, path.relative_to(folder).as_posix()))
    (folder / "manifest.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
