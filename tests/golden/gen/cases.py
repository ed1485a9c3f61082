# SPDX-License-Identifier: MIT
"""The golden networks and frames. Each network is small enough to reason about by hand.

NETWORKS: functions that return a Network. CASES: (network, kind of frame) pairs that are run.
"""
import random

from spcmodel import Network

GRID = (5, 6, 7)  # z, y, x
TINY = {"spc.voxel_size": "0.5,0.5,0.5", "spc.range": "-8,-8,-2,8,8,2",
        "spc.features": "x,y,z,intensity,time", "spc.max_points_per_voxel": "10"}


# ---- networks ---------------------------------------------------------------------------------

def subm():
    net = Network(GRID, 4, seed=11)
    for kernel, dilation, padding in [(3, 1, None), ((5, 3, 1), 1, None), ((1, 3, 5), 1, None),
                                      (3, 2, 1), (1, 1, None), (3, 1, 0)]:
        net.output(net.conv(net.input, 5, kernel, dilation=dilation, padding=padding, subm=True))
    x = net.conv(net.input, 5, subm=True, rulebook="a")
    net.output(net.conv(x, 4, subm=True, rulebook="a"))
    return net


def strided():
    """Every output is one shape of convolution; padding is in the case's own order."""
    net = Network(GRID, 3, seed=12)
    for kernel, stride, padding, dilation in [
            (3, 2, 1, 1), (3, 1, 1, 1), (2, 2, 0, 1), (4, 2, 1, 1), (3, 3, 0, 1), (3, 2, 0, 1),
            (5, 3, 2, 1), (3, 2, 1, 2), (1, 2, 0, 1), (2, 3, 0, 1), (2, 1, 1, 1),
            ((3, 1, 1), (2, 1, 1), 0, 1), ((3, 3, 3), (2, 2, 2), (0, 1, 1), 1),
            ((1, 3, 2), (1, 2, 3), (0, 1, 0), 1), ((3, 2, 4), (1, 3, 2), (2, 0, 3), (1, 2, 1))]:
        net.output(net.conv(net.input, 3, kernel, stride, padding, dilation))
    return net


def unet():
    """Encoder-decoder: rulebooks are used again behind the inverse convolutions."""
    net = Network(GRID, 4, seed=13)
    x0 = net.conv(net.input, 4, subm=True, rulebook="s0")
    x1 = net.conv(x0, 6, stride=2, rulebook="d0")
    x1 = net.conv(x1, 6, subm=True, rulebook="s1")
    x2 = net.conv(x1, 8, kernel=2, stride=2, padding=0, rulebook="d1")
    x2 = net.conv(x2, 8, subm=True, rulebook="s2")
    y1 = net.conv(x2, 6, kernel=2, stride=2, padding=0, inverse=True, rulebook="d1")
    y1 = net.conv(net.relu(net.add(y1, x1)), 6, subm=True, rulebook="s1")
    y0 = net.conv(y1, 4, stride=2, inverse=True, rulebook="d0")
    y0 = net.conv(net.relu(net.add(y0, x0)), 4, subm=True, rulebook="s0")
    net.output(y0)
    net.output(x2)
    net.output(y1)
    return net


def activations():
    net = Network(GRID, 4, seed=14)
    for act, slope in [("None", None), ("ReLU", None), ("LeakyReLU", None), ("LeakyReLU", 0.25),
                       ("Sigmoid", None)]:
        for bias in True, False:
            net.output(net.conv(net.input, 5, (1, 3, 3), subm=True, act=act, bias=bias,
                                slope=slope))
    return net


def residual(add="Add", weights="fp16", seed=15):
    """Residual blocks as ResNets have them, and an Add of two convolutions."""
    net = Network(GRID, 4, weights=weights, seed=seed)
    x = net.conv(net.input, 6, subm=True, rulebook="s")
    y = net.conv(x, 6, subm=True, rulebook="s")
    y = net.conv(y, 6, subm=True, rulebook="s", act="None")
    x = net.relu(net.add(y, x, add))
    a = net.conv(x, 6, subm=True, rulebook="s", act="None")
    b = net.conv(x, 6, kernel=1, subm=True, act="None")
    x = net.relu(net.add(a, b, add))
    y = net.conv(x, 6, subm=True, rulebook="s")
    net.output(net.add(y, x, add))
    return net


def shared_weights():
    """One initializer for kernels that a backend packs in different orders."""
    net = Network(GRID, 8, seed=32)
    x = net.conv(net.input, 8, subm=True)
    net.output(x)
    net.output(net.conv(x, 8, subm=True, dilation=(2, 1, 1), like=x, bias=False))
    net.output(net.conv(x, 8, stride=2, like=x))
    return net


def quant_add():
    return residual("QuantAdd", seed=16)


def fp32_weights():
    return residual(weights="fp32", seed=17)


def relu_alone():
    """Relu where nothing can absorb it: on the input, on an output's value, on a dense tensor."""
    net = Network(GRID, 4, seed=18)
    x = net.conv(net.relu(net.input), 4, subm=True, act="None")
    y = net.relu(x)
    net.output(x)
    net.output(y)
    net.output(net.relu(net.scatter(net.conv(y, 3, stride=3, padding=0, act="None"))))
    return net


def channels():
    net = Network(GRID, 1, seed=19)
    x = net.input
    for cout in 3, 5, 7, 17, 40, 33, 1:
        x = net.conv(x, cout, kernel=(1, 1, 3), subm=True, rulebook="s", act="LeakyReLU")
        net.output(x)
    return net


def wide():
    net = Network(GRID, 16, seed=20)
    x = net.conv(net.input, 48, kernel=(1, 1, 3), subm=True)
    x = net.conv(x, 65, kernel=(2, 1, 1), stride=(2, 1, 1), padding=0)
    net.output(net.conv(x, 8, kernel=1, subm=True))
    return net


def dense():
    """Dense tensors, reshaped and transposed in ways that fold into the write and ways that
    do not."""
    net = Network(GRID, 3, seed=21)
    x = net.conv(net.input, 4, kernel=(1, 1, 3), stride=(2, 3, 1), padding=0)
    c, z, h, w = 4, 3, 2, 5
    assert x.grid == (z, h, w)
    net.output(net.scatter(x))
    net.output(net.bev(x))
    y = net.transpose(net.scatter(x), (0, 1, 4, 3, 2))
    net.output(net.reshape(y, (1, c * w, h, z)))
    y = net.transpose(net.scatter(x), (0, 3, 4, 2, 1))
    net.output(net.reshape(y, (1, h, w, z * c)))
    y = net.reshape(net.scatter(x), (1, c * z, h * w))
    net.output(net.transpose(y, (0, 2, 1)))
    y = net.reshape(net.scatter(x), (c * z * h * w // 6, 6))  # cuts through an axis
    net.output(net.transpose(y, (1, 0)))
    y = net.reshape(net.scatter(x), (1, c, z, h, w))
    net.output(net.reshape(net.transpose(y, (0, 2, 1, 3, 4)), (1, z * c, h, w)))
    return net


def layouts():
    net = Network(GRID, 3, seed=22)
    x = net.conv(net.input, 32, kernel=(2, 2, 3), stride=(3, 2, 1), padding=0)  # grid 2, 3, 5
    for layout in "NCHW", "NCHW32", "NHWzC":
        net.output(net.scatter(x, layout))
    return net


def dense_add():
    net = Network(GRID, 3, seed=23)
    x = net.conv(net.input, 4, stride=3, padding=0)
    y = net.scatter(net.conv(x, 4, subm=True, act="None"))
    net.output(net.relu(net.add(net.scatter(x), y)))
    return net


def xyz():
    net = Network(GRID[::-1], 4, order="xyz", seed=24)
    x = net.conv(net.input, 8, kernel=(3, 1, 5), subm=True, rulebook="s")
    net.output(x)
    x = net.conv(x, 6, kernel=(3, 3, 2), stride=(1, 2, 3), padding=(0, 1, 1))
    net.output(x)
    net.output(net.scatter(x))
    net.output(net.bev(x))
    return net


def tall(z):
    net = Network((z, 5, 6), 2, seed=25 + z)
    x = net.conv(net.input, 3, subm=True, rulebook="s")
    x = net.conv(x, 3, kernel=(5, 3, 3), dilation=(13, 1, 1), subm=True)
    net.output(x)
    x = net.conv(x, 2, stride=2, rulebook="d")
    net.output(net.scatter(x))
    net.output(net.conv(x, 2, stride=2, inverse=True, rulebook="d"))
    return net


def tall70():
    return tall(70)


def tall130():
    return tall(130)


def tiny_body(order):
    """x, y, z, intensity, time as a lidar gives them, 0.5 m voxels, to 8 x 8 BEV cells."""
    def t(*zyx):
        return zyx if order == "zyx" else zyx[::-1]
    net = Network(t(9, 32, 32), 5, order=order, seed=31, metadata=TINY)
    x = net.conv(net.input, 6, subm=True, rulebook="res0",
                 weight=lidar_weights(net.random, 6, 27))
    y = net.conv(x, 6, subm=True, rulebook="res0", act="None")
    x = net.relu(net.add(y, x))
    x = net.conv(x, 8, stride=2, rulebook="down0")
    mid = net.conv(x, 8, subm=True, rulebook="res1")
    x = net.conv(mid, 16, stride=2)
    x = net.conv(x, 12, kernel=t(2, 1, 1), padding=0)
    return net, mid, x


def lidar_weights(rng, cout, taps):
    """Brings metres, intensities to 255 and seconds to one scale."""
    scale = (0.02, 0.02, 0.1, 0.002, 0.3)
    return [rng.uniform(-s, s) for _ in range(cout * taps) for s in scale]


def tiny():
    net, _, x = tiny_body("zyx")
    net.output(net.bev(x))
    return net


def tiny_xyz():
    net, _, x = tiny_body("xyz")
    net.output(net.bev(x))
    return net


def tiny_sparse_out():
    net, mid, x = tiny_body("zyx")
    net.output(net.bev(x))
    net.output(mid)
    net.output(x)
    return net


NETWORKS = [subm, strided, unet, activations, residual, quant_add, fp32_weights, relu_alone,
            channels, wide, dense, layouts, dense_add, xyz, tall70, tall130, tiny, tiny_xyz,
            tiny_sparse_out, shared_weights]


# ---- frames -----------------------------------------------------------------------------------

def walk(rng, grid, count):
    """Sites that touch one another as surfaces do: a random walk with jumps."""
    sites, at = [], None
    seen = set()
    while len(sites) < count:
        if at is None or rng.random() < 0.1:
            at = tuple(rng.randrange(g) for g in grid)
        else:
            at = tuple(min(max(c + rng.randrange(-1, 2), 0), g - 1) for c, g in zip(at, grid))
        if at not in seen:
            seen.add(at)
            sites.append(at)
    return sites


def full(rng, grid):
    sites = [(z, y, x) for z in range(grid[0]) for y in range(grid[1]) for x in range(grid[2])]
    rng.shuffle(sites)
    return sites


def unit_rows(rng, count, channels):
    return [[rng.uniform(-1, 1) for _ in range(channels)] for _ in range(count)]


def lidar_rows(rng, sites):
    return [[(x + rng.random()) * 0.5 - 8, (y + rng.random()) * 0.5 - 8,
             (z + rng.random()) * 0.5 - 2, rng.uniform(0, 255), rng.uniform(0, 0.5)]
            for z, y, x in sites]


def frame(network, kind, seed=7):
    """Sites (z, y, x) and feature rows for a network; kind: some, one, zero, full."""
    rng = random.Random(seed)
    grid = network.input.grid if network.order == "zyx" else network.input.grid[::-1]
    cells = grid[0] * grid[1] * grid[2]
    if kind == "full":
        sites = full(rng, grid)
    else:
        count = {"some": min(90 if network.metadata else 40, cells), "one": 1, "zero": 0}[kind]
        sites = walk(rng, grid, count)
    if network.metadata:
        return sites, lidar_rows(rng, sites)
    return sites, unit_rows(rng, len(sites), network.input.channels)


CASES = [(n.__name__, "some") for n in NETWORKS] + \
    [(n, kind) for n in ("unet", "relu_alone") for kind in ("one", "zero", "full")] + \
    [("strided", "full"), ("strided", "one"), ("dense", "zero"), ("layouts", "zero"),
     ("tiny", "zero"), ("tiny", "one")]
