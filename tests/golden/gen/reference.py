# SPDX-License-Identifier: MIT
"""The operators by their plain definition, in float64: what the engine's results are held to.

Nothing here is shared with the engine. A sparse tensor is a dict from coordinate to row; a
rulebook is a list of (input site, kernel offset, output site), straight from spconv's definition:

    submanifold  output sites = input sites; o meets i = o + (k - K // 2) * dilation
    strided      o meets i = o * stride + k * dilation - padding; o exists if it meets any
    inverse      the pairs of the strided convolution of the same rulebook, in and out swapped
"""
import itertools

import numpy as np


class Sparse:
    def __init__(self, grid, rows):
        self.grid, self.rows = grid, rows  # rows: coordinate -> float64 [C]


def offsets(kernel):
    return list(itertools.product(*[range(k) for k in kernel]))


def subm_pairs(sites, a):
    for o in sites:
        for k in offsets(a["kernel_size"]):
            i = tuple(c + (q - n // 2) * d
                      for c, q, n, d in zip(o, k, a["kernel_size"], a["dilation"]))
            if i in sites:
                yield i, k, o


def strided_pairs(sites, a):
    for i in sites:
        for k in offsets(a["kernel_size"]):
            top = [c + p - q * d for c, p, q, d in zip(i, a["padding"], k, a["dilation"])]
            if any(t < 0 or t % s for t, s in zip(top, a["stride"])):
                continue
            o = tuple(t // s for t, s in zip(top, a["stride"]))
            if all(c < g for c, g in zip(o, a["output_spatial_shape"])):
                yield i, k, o


def activation(x, name, slope):
    if name == "None":
        return x
    if name == "ReLU":
        return np.where(x < 0, 0, x)
    if name == "LeakyReLU":
        return np.where(x < 0, slope * x, x)
    if name == "Sigmoid":
        return 1 / (1 + np.exp(-x))
    raise ValueError(name)


class Run:
    """Computes every value of a network for one frame."""

    def __init__(self, network, features, indices):
        rows = {tuple(int(c) for c in i[1:]): f.astype(np.float64)
                for i, f in zip(indices, features)}
        self.values = {network.input.name: Sparse(network.input.grid, rows)}
        self.layouts = {}
        self.forward = {}  # rulebook name -> (pairs, input sites) of the strided convolution
        for node in network.nodes:
            args = [self.values[v.name] for v in node.inputs]
            self.values[node.output.name] = getattr(self, node.op)(node, *args)

    def SparseConvolution(self, node, x):
        a = node.attrs
        if a["inverse"]:
            forward, sites = self.forward[a["rulebook"]]
            pairs = [(o, k, i) for i, k, o in forward]
        elif a["subm"]:
            sites, pairs = list(x.rows), list(subm_pairs(x.rows, a))
        else:
            pairs = list(strided_pairs(x.rows, a))
            sites = sorted({o for _, _, o in pairs})
            if a["rulebook"]:
                self.forward.setdefault(a["rulebook"], (pairs, list(x.rows)))
        cout, cin = a["out_channels"], a["in_channels"]
        w = np.array(node.weight, np.float64).reshape((cout,) + a["kernel_size"] + (cin,))
        bias = np.array(node.bias, np.float64) if node.bias else np.zeros(cout)
        rows = {s: bias.copy() for s in sites}
        for i, k, o in pairs:
            rows[o] += w[(slice(None),) + k] @ x.rows[i]
        slope = a.get("act_alpha", 0.01)
        rows = {s: activation(r, a["activation"], slope) for s, r in rows.items()}
        return Sparse(a["output_spatial_shape"], rows)

    def Add(self, node, x, y):
        if isinstance(x, Sparse):
            assert x.rows.keys() == y.rows.keys(), node.name
            return Sparse(x.grid, {s: r + y.rows[s] for s, r in x.rows.items()})
        return x + y

    QuantAdd = Add

    def Relu(self, node, x):
        if isinstance(x, Sparse):
            return Sparse(x.grid, {s: activation(r, "ReLU", 0) for s, r in x.rows.items()})
        return activation(x, "ReLU", 0)

    def ScatterDense(self, node, x):
        dense = np.zeros(node.output.dims)
        for site, row in x.rows.items():
            dense[(0, slice(None)) + site] = row
        layout = node.attrs.get("output_layout", "NCHW")
        if layout == "NCHW":
            return dense
        n, c, z, y, x = dense.shape
        if layout == "NHWzC":
            return dense.transpose(0, 3, 4, 2, 1)
        assert layout == "NCHW32", layout
        return dense.reshape(n, c * z // 32, 32, y, x).transpose(0, 1, 3, 4, 2)

    def Transpose(self, node, x):
        return x.transpose(node.attrs["dims"])

    def Reshape(self, node, x):
        return x.reshape(node.attrs["dims"])
