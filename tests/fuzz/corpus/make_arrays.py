#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the seeds of fuzz_array and fuzz_points beside this script; the same bytes every time."""
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))


def npy(descr, shape, values, version=1, order="False"):
    text = "{'descr': %s, 'fortran_order': %s, 'shape': %s, }" % (descr, order, shape)
    start = 10 if version == 1 else 12
    text = text.ljust(128 - start - 1).encode() + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + values


def tensor(number, dims, values):
    return struct.pack("<Iii%di" % len(dims), 0x33FF1101, len(dims), number, *dims) + values


def write(folder, name, data):
    with open(os.path.join(HERE, folder, name), "wb") as file:
        file.write(data)


FLOATS = struct.pack("<6f", 0, 1, -2, 3.5, 1e30, float("nan"))
HALVES = struct.pack("<6e", 0, 1, -2, 3.5, 65504, float("inf"))
INTS = struct.pack("<8i", 0, 1, 2, 3, 0, -1, 2, 2**31 - 1)

ARRAYS = {
    "f4.npy": npy("'<f4'", "(2, 3)", FLOATS),
    "f2.npy": npy("'<f2'", "(2, 3)", HALVES, 2),
    "i4.npy": npy("'<i4'", "(2, 4)", INTS, 3),
    "scalar.npy": npy("'<i8'", "()", bytes(8)),
    "vector.npy": npy("'|u1'", "(5,)", bytes(5)),
    "empty.npy": npy("'<f4'", "(0, 5)", b""),
    "rank8.npy": npy("'|i1'", "(1, 2, 1, 1, 2, 1, 1, 1)", bytes(4)),
    "fortran.npy": npy("'<f4'", "(2, 3)", FLOATS, 1, "True"),
    "big_endian.npy": npy("'>f4'", "(2, 3)", FLOATS),
    "structured.npy": npy("[('x', '<f4')]", "(6,)", FLOATS),
    "lying.npy": npy("'<f4'", "(4294967296, 4294967296)", FLOATS),
    "f4.tensor": tensor(3, [2, 3], FLOATS),
    "f2.tensor": tensor(2, [1, 6], HALVES),
    "i4.tensor": tensor(1, [2, 4], INTS),
    "empty.tensor": tensor(3, [0, 5], b""),
    "rank8.tensor": tensor(7, [1, 2, 1, 1, 2, 1, 1, 1], bytes(4)),
    "lying.tensor": tensor(3, [2**31 - 1, 2**31 - 1, 0], b""),
}
POINTS = {  # the first byte: type in the top two bits, number of fields in the low five
    "raw_f4": bytes([1 << 6 | 3]) + FLOATS,
    "raw_f2": bytes([2 << 6 | 6]) + HALVES,
    "raw_uneven": bytes([1 << 6 | 5]) + FLOATS,
    "no_record": bytes([0]) + FLOATS,
    "empty": bytes([1 << 6 | 4]),
    "npy": bytes([0]) + ARRAYS["f2.npy"],
    "npy_ints": bytes([0]) + ARRAYS["i4.npy"],
    "tensor": bytes([3]) + ARRAYS["f4.tensor"],
    "vector": bytes([0]) + ARRAYS["vector.npy"],
}

for seed, content in ARRAYS.items():
    write("array", seed, content)
for seed, content in POINTS.items():
    write("points", seed, content)
