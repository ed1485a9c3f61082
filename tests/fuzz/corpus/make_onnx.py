#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of the ONNX fuzz target: small models that reach every operator and attribute,
and some broken ones. Needs nothing but Python.

    python3 tests/fuzz/corpus/make_onnx.py tests/fuzz/corpus/onnx
"""
import pathlib
import struct
import sys

F32, I64, F16 = 1, 7, 10


# ---- protobuf

def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while True:
        byte, value = value & 0x7F, value >> 7
        out += bytes([byte | (0x80 if value else 0)])
        if not value:
            return out


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(number, values):
    return b"".join(field(number, value) for value in values)


# ---- parts of a model

def attribute(name, value):
    out = field(1, name)
    if isinstance(value, bool) or isinstance(value, int):
        return out + field(3, int(value)) + field(20, 2)
    if isinstance(value, float):
        return out + field(2, value) + field(20, 1)
    if isinstance(value, str):
        return out + field(4, value) + field(20, 3)
    if isinstance(value[0], float):
        return out + fields(7, value) + field(20, 6)
    return out + fields(8, value) + field(20, 7)


def node(op, name, inputs, output, **attributes):
    return field(1, fields(1, inputs) + field(2, output) + field(3, name) + field(4, op)
                 + fields(5, [attribute(*item) for item in attributes.items()]))


def initializer(name, dims, type=F16, typed=False, shape=None):
    count = 1
    for dim in dims:
        count *= dim
    values = [(i % 7 - 3) / 4 for i in range(count)]
    if type == I64:
        data = field(9, struct.pack(f"<{count}q", *shape))
    elif typed and type == F16:
        data = field(5, b"".join(
            varint(struct.unpack("<H", struct.pack("<e", v))[0]) for v in values))
    else:
        code = "e" if type == F16 else "f"
        data = field(4 if typed else 9, struct.pack(f"<{count}{code}", *values))
    return field(5, fields(1, dims) + field(2, type) + field(8, name) + data)


def value_info(number, name, dims):
    shape = b"".join(field(1, field(1, dim)) for dim in dims)
    return field(number, field(1, name)
                 + field(2, field(1, field(1, F16) + field(2, shape))))


def conv(name, inputs, output, cin, cout, kernel, grid, out_grid, **more):
    attributes = dict(
        ndim=3, input_spatial_shape=grid, output_spatial_shape=out_grid, in_channels=cin,
        out_channels=cout, kernel_size=kernel, stride=[1, 1, 1], padding=[0, 0, 0],
        dilation=[1, 1, 1], groups=1, subm=0, inverse=0, transposed=0, output_bound=500,
        output_padding=[0, 0, 0], rulebook="", activation="None")
    attributes.update(more)
    return node("SparseConvolution", name, inputs, output, **attributes)


def model(graph, metadata=()):
    entries = [field(1, key) + field(2, value) for key, value in metadata]
    return field(1, 8) + field(7, graph) + fields(14, entries)


METADATA = [("spc.voxel_size", "0.5,0.5,0.5"), ("spc.range", "0,0,0,3,4,2"),
            ("spc.features", "x,y"), ("spc.max_points_per_voxel", "10")]


# ---- the seeds

def backbone():
    """Every operator: residual block, strided and inverse convolution, two outputs."""
    return model(
        value_info(11, "0", [1, 2])
        + conv("c0", ["0", "w0", "b"], "1", 2, 2, [3, 1, 1], [5, 8, 6], [5, 8, 6], subm=1,
               rulebook="s", activation="ReLU")
        + conv("c1", ["1", "w1"], "2", 2, 2, [3, 1, 1], [5, 8, 6], [5, 8, 6], subm=1,
               rulebook="s")
        + node("Add", "a0", ["2", "1"], "3")
        + node("Relu", "r0", ["3"], "4")
        + conv("c2", ["4", "w1"], "5", 2, 2, [3, 1, 1], [5, 8, 6], [3, 4, 3], rulebook="d",
               stride=[2, 2, 2], padding=[1, 0, 0], activation="LeakyReLU", act_alpha=0.2)
        + conv("c3", ["5", "w1"], "6", 2, 2, [3, 1, 1], [3, 4, 3], [5, 8, 6], rulebook="d",
               stride=[2, 2, 2], padding=[1, 0, 0], inverse=1, activation="Sigmoid")
        + node("ScatterDense", "s0", ["5"], "7", format="zyx", input_spatial_shape=[3, 4, 3],
               output_shape=[1, 2, 3, 4, 3])
        + node("Reshape", "p0", ["7"], "8", dims=[1, 6, 4, 3])
        + initializer("w0", [2, 3, 1, 1, 2]) + initializer("w1", [2, 3, 1, 1, 2])
        + initializer("b", [2])
        + value_info(12, "8", [1, 6, 4, 3]) + value_info(12, "6", [1, 2]), METADATA)


def xyz():
    """The other index order, with Transpose and a Reshape by input."""
    return model(
        value_info(11, "0", [1, 1])
        + conv("c0", ["0", "w", "b"], "1", 1, 2, [1, 1, 3], [6, 8, 5], [6, 8, 2],
               stride=[1, 1, 2])
        + node("ScatterDense", "s0", ["1"], "2", format="xyz", input_spatial_shape=[6, 8, 2],
               output_shape=[1, 2, 6, 8, 2])
        + node("Transpose", "t0", ["2"], "3", perm=[0, 1, 4, 2, 3])
        + node("Reshape", "p0", ["3", "shape"], "4")
        + initializer("w", [2, 1, 1, 3, 1], F32) + initializer("b", [2], F32, typed=True)
        + initializer("shape", [4], I64, shape=[1, -1, 6, 8])
        + value_info(12, "4", [1, 4, 6, 8]))


def quantized():
    """Attributes of a quantized file, and an NCHW32 output of int8."""
    ranges = [1.0] * 32
    return model(
        value_info(11, "0", [1, 1])
        + conv("c0", ["0", "w", "b"], "1", 1, 32, [1, 1, 1], [1, 3, 3], [1, 3, 3], subm=1,
               precision="fp16", output_precision="int8", input_dynamic_range=8.0,
               weight_dynamic_ranges=ranges)
        + node("QuantAdd", "a0", ["1", "1"], "2", input0_dynamic_range=4.0,
               input1_dynamic_range=4.0, precision="int8", output_precision="int8")
        + node("ScatterDense", "s0", ["2"], "3", format="zyx", output_layout="NCHW32",
               input_dynamic_range=3.0)
        + initializer("w", [32, 1, 1, 1, 1], typed=True) + initializer("b", [32])
        + value_info(12, "3", [1, 1, 3, 3, 32]))


def odd_layout():
    """NHWzC, a Relu behind the scatter, nodes without names, dead nodes."""
    return model(
        value_info(11, "0", [1, 1])
        + conv("", ["0", "w"], "1", 1, 1, [1, 1, 1], [2, 3, 3], [2, 3, 3], subm=1)
        + node("ScatterDense", "", ["1"], "2", output_layout="NHWzC")
        + node("Relu", "", ["2"], "3") + node("Relu", "", ["1"], "dead")
        + initializer("w", [1, 1, 1, 1, 1]) + value_info(12, "2", [1]) + value_info(12, "3", [1]))


def refused():
    """Files that differ from a good one in what must be refused."""
    good = xyz()
    nested = b""
    for tag in [5, 1, 6] * 40:  # attribute in node in graph in attribute
        nested = field(tag, nested)
    return {
        "subgraph": good + field(7, field(1, field(4, "Relu") + fields(1, ["3"]) + field(2, "z")
                                         + field(5, field(1, "body") + field(20, 5) + nested))),
        "external": good + field(7, field(5, field(8, "e") + field(13, field(1, "location")))),
        "cycle": good + field(7, node("Relu", "a", ["z"], "y") + node("Relu", "b", ["y"], "z")),
        "merged-twice": good + good,
        "cut": good[:len(good) // 2],
        "graphless": field(1, 8),
        "empty": b"",
    }


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    seeds = {"backbone": backbone(), "xyz": xyz(), "quantized": quantized(),
             "odd-layout": odd_layout(), **refused()}
    for name, data in seeds.items():
        (folder / f"{name}.onnx").write_bytes(data)


if __name__ == "__main__":
    main()
