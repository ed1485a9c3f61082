#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the network of the demo.  demo_model.py FILE.onnx

The middle encoder of CenterPoint, smaller: 0.2 m voxels in 102.4 m x 102.4 m x 8 m, channels
16-32-64, a BEV of [1][80][256][256]. Its weights are drawn from a seed, not trained: what it
computes are features of local shape, which is enough to see a scene in them.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "engine" / "python"))

from spcmodel import Network  # noqa: E402

METADATA = {
    "spc.voxel_size": "0.2,0.2,0.2",
    "spc.range": "-51.2,-51.2,-5,51.2,51.2,3",
    "spc.features": "x,y,z,intensity,time",
    "spc.max_points_per_voxel": "10",
}
GRID = (41, 512, 512)  # z, y, x; like CenterPoint's, one cell higher than the range


SCALES = (0.001, 0.001, 0.3, 0.004, 0.1)  # of x, y, z, intensity (0 to 255), time


def weights(net, cout, scales, taps=27, around=0.2):
    """Flat [cout][taps][cin]. What lies around counts less than the centre; else values grow with
    the density of the points, and nothing is to be seen but the sensor's neighbourhood."""
    return [net.random.uniform(-s, s) * (1 if tap == taps // 2 else around)
            for _ in range(cout) for tap in range(taps) for s in scales]


def conv(net, x, cout, rulebook, act="ReLU"):
    scales = (2 / x.channels ** 0.5,) * x.channels
    return net.conv(x, cout, subm=True, rulebook=rulebook, act=act,
                    weight=weights(net, cout, scales))


def block(net, x, rulebook):
    y = conv(net, x, x.channels, rulebook)
    y = conv(net, y, x.channels, rulebook, act="None")
    return net.relu(net.add(y, x))


def demo():
    net = Network(GRID, 5, seed=5, metadata=METADATA)
    x = net.conv(net.input, 16, subm=True, rulebook="res0", weight=weights(net, 16, SCALES))
    x = block(net, x, "res0")
    x = net.conv(x, 32, stride=2)
    x = block(net, x, "res1")
    x = net.conv(x, 64, kernel=(3, 1, 1), stride=(2, 1, 1), padding=(1, 0, 0))
    x = block(net, x, "res2")
    x = net.conv(x, 16, kernel=(3, 1, 1), stride=(2, 1, 1), padding=0, act="Sigmoid")
    net.output(net.bev(x))
    return net


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: demo_model.py FILE.onnx")
    demo().save(sys.argv[1])
