#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Test: the committed golden files are what the generator writes, and what the manifest says.

Models and frames must be the same bytes; expected values may differ in their last bits, as the
order of a float64 sum is numpy's to choose. Where the `onnx` package is present, it must read
the models too.
"""
import hashlib
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("SKIP: Python's numpy is not installed (python3-numpy)")
    sys.exit(77)

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent
FOLDERS = "models", "frames", "expected"


def listing(folder):
    return sorted(p.relative_to(folder).as_posix() for sub in FOLDERS
                  for p in (folder / sub).iterdir())


def differs(name, fresh):
    old, new = (GOLDEN / name), (fresh / name)
    if old.read_bytes() == new.read_bytes():
        return None
    if not name.startswith("expected/"):
        return "bytes differ"
    a, b = np.load(old), np.load(new)
    if a.shape != b.shape:
        return "shapes differ: %s, %s" % (a.shape, b.shape)
    return None if np.allclose(a, b, rtol=1e-6, atol=1e-6) else "values differ"


def manifest_errors():
    lines = [line.split() for line in (GOLDEN / "manifest.txt").read_text().splitlines()]
    digests = {line[2]: line[1] for line in lines if line[0] == "file"}
    if sorted(digests) != listing(GOLDEN):
        yield "manifest.txt lists other files than there are"
    for name, digest in digests.items():
        if hashlib.sha256((GOLDEN / name).read_bytes()).hexdigest() != digest:
            yield name + ": SHA-256 is not what manifest.txt says"


def onnx_errors():
    try:
        import onnx
    except ImportError:
        print("note: the onnx package is not installed; the models were not read with it")
        return
    for path in sorted((GOLDEN / "models").iterdir()):
        model = onnx.load(str(path))
        known = {i.name for i in model.graph.initializer} | {i.name for i in model.graph.input}
        for node in model.graph.node:
            if not set(node.input) <= known:
                yield "%s: %s reads a value that nothing makes" % (path.name, node.name)
            known |= set(node.output)
        if not model.graph.output or not {o.name for o in model.graph.output} <= known:
            yield path.name + ": an output is missing"


def main():
    errors = list(manifest_errors()) + list(onnx_errors())
    with tempfile.TemporaryDirectory() as name:
        fresh = pathlib.Path(name)
        subprocess.run([sys.executable, str(HERE / "generate.py"), name], check=True)
        if listing(fresh) != listing(GOLDEN):
            errors.append("the generator writes other files than are committed")
        else:
            errors += ["%s: %s" % (f, why) for f in listing(GOLDEN)
                       for why in [differs(f, fresh)] if why]
    for error in errors:
        print(error)
    print("%d golden files, %d errors" % (len(listing(GOLDEN)), len(errors)))
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
