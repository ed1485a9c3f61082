# SPDX-License-Identifier: MIT
"""Write sparse-convolution networks as ONNX files that the engine (and libspconv) can load.

Needs nothing but Python 3.8. The dialect is that of NVIDIA's exporters: nodes SparseConvolution,
Add, QuantAdd, Relu, ScatterDense, Transpose and Reshape, weights [out][k0][k1][k2][in].

    net = Network(grid=(41, 1440, 1440), features=5)
    x = net.conv(net.input, 16, subm=True, rulebook="res0")
    y = net.conv(x, 16, subm=True, rulebook="res0", act="None")
    x = net.relu(net.add(y, x))
    x = net.conv(x, 32, stride=2)
    net.output(net.reshape(net.scatter(x), (1, 32 * 21, 720, 720)))
    net.save("net.onnx")

Triples (grids, kernels, strides, ...) are in the network's index order: z, y, x or, with
order="xyz", x, y, z. A number stands for three equal ones. Weights and biases are flat lists of
floats; where none are given they are drawn from a generator with a fixed seed, scaled so that
activations neither die nor explode.
"""
import math
import random
import struct

FLOAT, INT64, FLOAT16 = 1, 7, 10


# ---- protobuf wire format ---------------------------------------------------------------------

def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def block(field, data):
    if isinstance(data, str):
        data = data.encode()
    return varint(field << 3 | 2) + varint(len(data)) + data


def attribute(name, value):
    """AttributeProto: the type follows from the Python value."""
    if isinstance(value, float):
        body, kind = varint(2 << 3 | 5) + struct.pack("<f", value), 1
    elif isinstance(value, int):
        body, kind = number(3, value), 2
    elif isinstance(value, str):
        body, kind = block(4, value), 3
    elif value and isinstance(value[0], float):
        body, kind = b"".join(varint(7 << 3 | 5) + struct.pack("<f", v) for v in value), 6
    else:
        body, kind = b"".join(number(8, v) for v in value), 7
    return block(1, name) + body + number(20, kind)


def value_info(name, dtype, dims):
    shape = b"".join(block(1, number(1, d)) for d in dims)
    tensor = number(1, dtype) + block(2, shape)
    return block(1, name) + block(2, block(1, tensor))


# ---- network ----------------------------------------------------------------------------------

class Value:
    """A tensor of the network: sparse (grid, channels) or dense (dims)."""

    def __init__(self, name, channels=0, grid=None, dims=None):
        self.name, self.channels, self.grid, self.dims = name, channels, grid, dims


class Node:
    """One operator. `attrs` is what the file says; `weight` and `bias` are as stored."""

    def __init__(self, op, name, inputs, output, attrs):
        self.op, self.name, self.inputs, self.output = op, name, inputs, output
        self.attrs, self.weight, self.bias, self.twin = attrs, None, None, None


def triple(value):
    return (value,) * 3 if isinstance(value, int) else tuple(value)


class Network:
    def __init__(self, grid, features=5, order="zyx", weights="fp16", seed=1, metadata=None):
        self.order, self.seed, self.half = order, seed, weights == "fp16"
        self.random = random.Random(seed)
        self.input = Value("0", features, tuple(grid))
        self.nodes, self.outputs, self.values = [], [], 0
        self.counts = {}
        self.metadata = dict(metadata or {})
        self.forward = {}  # rulebook name -> its strided node's input and output grid

    # -- operators; each returns the value it makes

    def conv(self, x, cout, kernel=3, stride=1, padding=None, dilation=1, subm=False,
             inverse=False, rulebook="", act="ReLU", bias=True, bound=200000, weight=None,
             slope=None, like=None):
        """SparseConvolution. `padding` defaults to half the kernel; `bias` may be a list. `like`:
        the output of a convolution whose weights this one reads from the file, too."""
        kernel, stride, dilation = triple(kernel), triple(stride), triple(dilation)
        padding = tuple(k // 2 for k in kernel) if padding is None else triple(padding)
        if subm:
            grid = x.grid
        elif inverse:
            grid = self.forward[rulebook]
        else:
            grid = tuple((g + 2 * p - d * (k - 1) - 1) // s + 1 for g, k, s, p, d
                         in zip(x.grid, kernel, stride, padding, dilation))
            self.forward.setdefault(rulebook, x.grid)
        count = cout * kernel[0] * kernel[1] * kernel[2] * x.channels
        twin = like and next(n for n in self.nodes if n.output is like)
        if twin:
            weight = twin.weight
        elif weight is None:
            weight = self.draw(count, x.channels * kernel[0] * kernel[1] * kernel[2])
        if bias is True:
            bias = [self.random.uniform(-0.2, 0.2) for _ in range(cout)]
        attrs = {
            "activation": act, "dilation": dilation, "groups": 1, "in_channels": x.channels,
            "input_shape": (1, x.channels), "input_spatial_shape": x.grid,
            "inverse": int(inverse), "kernel_size": kernel, "ndim": 3, "out_channels": cout,
            "output_bound": bound, "output_padding": (0, 0, 0), "output_precision": "fp16",
            "output_shape": (1, cout), "output_spatial_shape": grid, "padding": padding,
            "precision": "fp16", "rulebook": rulebook, "stride": stride, "subm": int(subm),
            "transposed": 0,
        }
        if slope is not None:
            attrs["act_alpha"] = float(slope)
        node = self.node("SparseConvolution", "conv", [x], attrs, Value("", cout, grid))
        assert len(weight) == count, (node.name, len(weight), count)
        node.weight = self.rounded(weight)
        node.bias = self.rounded(bias) if bias else None
        node.twin = twin
        return node.output

    def add(self, a, b, op="Add"):
        attrs = {"input0_dynamic_range": 1.0, "input1_dynamic_range": 1.0,
                 "output_precision": "fp16", "precision": "fp16"}
        return self.node(op, "add", [a, b], attrs, Value("", a.channels, a.grid, a.dims)).output

    def relu(self, x):
        return self.node("Relu", "relu", [x], {}, Value("", x.channels, x.grid, x.dims)).output

    def scatter(self, x, layout=None):
        dims = (1, x.channels) + x.grid
        attrs = {"format": self.order, "input_spatial_shape": x.grid, "output_shape": dims}
        if layout:
            attrs["output_layout"] = layout
        return self.node("ScatterDense", "scatter", [x], attrs, Value("", dims=dims)).output

    def transpose(self, x, perm):
        dims = tuple(x.dims[p] for p in perm)
        return self.node("Transpose", "transpose", [x], {"dims": perm}, Value("", dims=dims)).output

    def reshape(self, x, dims):
        return self.node("Reshape", "reshape", [x], {"dims": dims}, Value("", dims=dims)).output

    def bev(self, x):
        """What exporters put at the end: a dense [1][C*Z][Y][X], or [1][C*Z][X][Y] for xyz."""
        dense = self.scatter(x)
        if self.order == "xyz":
            dense = self.transpose(dense, (0, 1, 4, 2, 3))
        n, c, z, a, b = dense.dims
        return self.reshape(dense, (n, c * z, a, b))

    def output(self, x):
        self.outputs.append(x)

    # -- what they share

    def node(self, op, prefix, inputs, attrs, out):
        i = self.counts.get(prefix, 0)
        self.counts[prefix] = i + 1
        self.values += 1
        out.name = str(self.values)
        self.nodes.append(Node(op, prefix + str(i), inputs, out, attrs))
        return self.nodes[-1]

    def draw(self, count, fan_in):
        # A third of a 3D neighbourhood is occupied at most; hence not sqrt(6 / fan_in).
        limit = math.sqrt(18.0 / fan_in) if fan_in > 8 else 1.0
        return [self.random.uniform(-limit, limit) for _ in range(count)]

    def rounded(self, values):
        """The values as the file stores them."""
        code = "<%d%s" % (len(values), "e" if self.half else "f")
        return list(struct.unpack(code, struct.pack(code, *values)))

    # -- file

    def tensor(self, name, values, dims):
        code, dtype = ("e", FLOAT16) if self.half else ("f", FLOAT)
        raw = struct.pack("<%d%s" % (len(values), code), *values)
        return b"".join(number(1, d) for d in dims) + number(2, dtype) + block(8, name) + \
            block(9, raw)

    def serialize(self):
        nodes, initializers = [], []
        for node in self.nodes:
            names = [v.name for v in node.inputs]
            if node.weight is not None:
                base = "sp" + node.name
                a = node.attrs
                dims = (a["out_channels"],) + a["kernel_size"] + (a["in_channels"],)
                names.append("sp" + (node.twin or node).name + ".weight")
                if not node.twin:
                    initializers.append(self.tensor(names[-1], node.weight, dims))
                if node.bias:
                    names.append(base + ".bias")
                    initializers.append(self.tensor(names[-1], node.bias, (len(node.bias),)))
            body = b"".join(block(1, n) for n in names) + block(2, node.output.name) + \
                block(3, node.name) + block(4, node.op) + \
                b"".join(block(5, attribute(k, v)) for k, v in sorted(node.attrs.items()))
            nodes.append(block(1, body))
        infos = [block(11, value_info(self.input.name, FLOAT16, (1, self.input.channels)))]
        for v in self.outputs:
            infos.append(block(12, value_info(v.name, FLOAT16, v.dims or (1, v.channels))))
        graph = b"".join(nodes) + block(2, "scn") + \
            b"".join(block(5, t) for t in initializers) + b"".join(infos)
        opset = block(1, "ai.onnx") + number(2, 11)
        props = b"".join(block(14, block(1, k) + block(2, v))
                         for k, v in sorted(self.metadata.items()))
        return number(1, 8) + block(2, "spcmodel") + block(7, graph) + block(8, opset) + props

    def save(self, path):
        with open(path, "wb") as file:
            file.write(self.serialize())
