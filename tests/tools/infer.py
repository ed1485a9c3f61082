#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""spc-infer on the small golden models.  infer.py SPC-INFER SPC-COMPARE GOLDEN"""
import os
import sys

from tooltest import Tool, check, finish, read_tensor, temporary_folder, tensor

sys.path.insert(0, os.path.join(sys.argv[3], "..", "..", "engine", "python"))
import spcmodel  # noqa: E402

tool, compare, golden = Tool(sys.argv[1]), Tool(sys.argv[2]), sys.argv[3]
TINY = golden + "/models/tiny.onnx"


def frame(case):
    base = "%s/frames/%s." % (golden, case)
    return ["--features", base + "features.npy", "--indices", base + "indices.npy"]


def test_list():
    code, out, err = tool.run("--model", TINY, "--list")
    check(code == 0 and not err, "--list fails: " + err)
    for part in ("10 nodes, 1 outputs", "grid 9,32,32", "5 features a voxel (x,y,z,intensity,time)",
                 "output   0: 10, dense [1,24,8,8], rows y, columns x", "scatter0",
                 "strided 3x3x3, stride 2x2x2"):
        check(part in out, "--list lacks %r" % part)
    code, out, _ = tool.run("--model", golden + "/models/unet.onnx", "--list")
    check(code == 0 and "sparse [up to 200000,4]" in out, "--list of sparse outputs")


def test_run(folder):
    out_file = folder + "/bev.tensor"
    code, out, _ = tool.run("--model", TINY, *frame("tiny.some"), "--threads", 1, "--grid-size",
                            "9,32,32", "--output", out_file, "--profile", "--repeat", 3,
                            "--warmup", 1)
    check(code == 0, "a frame fails")
    for part in ("backend cpu", "fp32, 1 thread,", "over 3 frames", "p99", "GFLOP/s",
                 "conv1+add0+relu0", "index", "pairs"):
        check(part in out, "a run lacks %r" % part)
    name, dims, values = read_tensor(out_file)
    check((name, dims) == ("float32", (1, 24, 8, 8)) and any(values), "the output file")
    for backend in ("auto", "cpu"):
        tool.run("--model", TINY, *frame("tiny.some"), "--backend", backend, "--isa", "c",
                 "--output", folder + "/c.npy")
        code, _, err = compare.run(out_file, folder + "/c.npy", "--max-rel-l2", "1e-6")
        check(code == 0, "isa c differs: " + err)
    code, _, _ = tool.run("--model", TINY, *frame("tiny.some"), "--precision", "fp16",
                          "--output", folder + "/h.tensor")
    check(code == 0 and read_tensor(folder + "/h.tensor")[0] == "float16", "fp16")
    code, _, err = compare.run(folder + "/h.tensor", out_file, "--max-rel-l2", "2e-3")
    check(code == 0, "fp16 differs: " + err)


def test_all_outputs(folder):
    code, out, _ = tool.run("--model", TINY, *frame("tiny.some"), "--output-all", folder + "/all",
                            "--output", folder + "/bev.tensor", "--output-name", "10")
    files = sorted(os.listdir(folder + "/all"))
    check(code == 0 and "10.tensor" in files and "0.features.tensor" in files, "--output-all")
    check(len(files) == 2 * 9 + 2, "--output-all writes %s" % files)
    code, _, _ = compare.run(folder + "/bev.tensor", folder + "/all/10.tensor", "--max-abs", 0)
    check(code == 0, "--output and --output-all differ")
    _, dims, _ = read_tensor(folder + "/all/4.features.tensor")
    _, index_dims, _ = read_tensor(folder + "/all/4.indices.tensor")
    check(dims[0] == index_dims[0] and index_dims[1] == 4, "rows of features and indices")


def test_names_that_clash(folder):
    net = spcmodel.Network(grid=(9, 32, 32))
    x = net.conv(net.input, 4, subm=True)
    y = net.conv(x, 4, subm=True)
    x.name, y.name = "a/b", "a_b"
    net.output(y)
    net.save(folder + "/clash.onnx")
    code, _, err = tool.run("--model", folder + "/clash.onnx", *frame("tiny.some"),
                            "--output-all", folder + "/clash")
    check(code == 2 and "outputs a/b and a_b would be one file" in err, "names clash: " + err)
    check(not os.path.exists(folder + "/clash"), "names clash, but a folder was made")


def test_sparse_output(folder):
    unet = ["--model", golden + "/models/unet.onnx", *frame("unet.some")]
    sparse = folder + "/s.npy"
    code, _, _ = tool.run(*unet, "--output", sparse)
    check(code == 0 and os.path.exists(folder + "/s.indices.npy"), "a sparse output")
    code, _, _ = tool.run(*unet, "--output", folder + "/o.npy", "--row-order", "input")
    code, out, _ = compare.run(sparse, folder + "/o.npy", "--indices-a", folder + "/s.indices.npy",
                               "--indices-b", folder + "/o.indices.npy", "--max-abs", 0)
    check(code == 0 and "both:40," in out, "row orders differ in more than order")
    with open(golden + "/frames/unet.some.indices.npy", "rb") as a, \
            open(folder + "/o.indices.npy", "rb") as b:
        check(a.read() == b.read(), "--row-order input is not the input's order")


def test_empty_frame(folder):
    code, out, _ = tool.run("--model", TINY, *frame("tiny.zero"), "--output", folder + "/z.tensor")
    check(code == 0 and "0 voxels" in out, "an empty frame")
    check(not any(read_tensor(folder + "/z.tensor")[2]), "zero voxels are not all zero")
    code, _, _ = tool.run("--model", golden + "/models/unet.onnx", *frame("unet.zero"),
                          "--output", folder + "/s.tensor")
    check(code == 0 and read_tensor(folder + "/s.tensor")[1] == (0, 4), "no rows")
    check(read_tensor(folder + "/s.indices.tensor")[1] == (0, 4), "no index rows")


def test_bad_input(folder):
    good = ["--model", TINY, *frame("tiny.some")]
    tool.refused("--model is missing")
    tool.refused("--features and --indices are needed", "--model", TINY)
    tool.refused("none.onnx", "--model", folder + "/none.onnx", "--list")
    bad = folder + "/bad.onnx"
    with open(bad, "wb") as file:
        file.write(b"this is no model")
    tool.refused("bad.onnx", "--model", bad, "--list")
    tool.refused("the model's grid is 9,32,32", *good, "--grid-size", "8,32,32")
    tool.refused("three whole numbers", *good, "--grid-size", "9,32")
    tool.refused("\"nonsense\" is not known", *good, "--backend", "nonsense")
    tool.refused("expected one of auto,fp32,fp16,int8", *good, "--precision", "fp64")
    tool.refused("int8", *good, "--precision", "int8")
    tool.refused("nonsense", *good, "--isa", "nonsense")
    tool.refused("expected a whole number", *good, "--threads", "two")
    tool.refused("expected a whole number", *good, "--repeat", "0")
    f4 = tensor(folder + "/f4.tensor", "float32", [2, 4], [0] * 8)
    f5 = tensor(folder + "/f5.tensor", "float32", [2, 5], [0] * 10)
    i3 = tensor(folder + "/i3.tensor", "int32", [3, 4], [0, 1, 1, 1, 0, 1, 1, 2, 0, 1, 1, 3])
    out = tensor(folder + "/out.tensor", "int32", [2, 4], [0, 1, 1, 1, 0, 9, 1, 2])
    twice = tensor(folder + "/twice.tensor", "int32", [2, 4], [0, 1, 1, 1, 0, 1, 1, 1])
    tool.refused("4 features a voxel, the model takes 5", "--model", TINY, "--features", f4,
                 "--indices", i3)
    tool.refused("has 2 rows", "--model", TINY, "--features", f5, "--indices", i3)
    tool.refused("indices are int32", "--model", TINY, "--features", f5, "--indices", f5)
    for indices, says in ((out, "row 1"), (twice, "rows 0 and 1")):
        code, _, err = tool.run("--model", TINY, "--features", f5, "--indices", indices)
        check(code == 2 and err.count("\n") == 1 and says in err, "%s: %r" % (indices, err))
    code, _, err = tool.run(*good, "--max-voxels", 10)
    check(code == 2 and "90 voxels" in err and "at most 10" in err, "--max-voxels: %r" % err)
    code, _, err = tool.run(*good, "--site-bound", 70)
    check(code == 2 and "70" in err and "conv2" in err, "--site-bound: %r" % err)
    code, _, err = tool.run(*good, "--output", folder + "/none/x.tensor")
    check(code == 2 and "none/x.tensor" in err, "--output into no folder: %r" % err)
    code, _, err = tool.run(*good, "--output", folder + "/x.tensor", "--output-name", "nonsense")
    check(code == 2 and "there are 10" in err, "--output-name: %r" % err)


tool.has_manual()
test_list()
for test in (test_run, test_all_outputs, test_names_that_clash, test_sparse_output,
             test_empty_frame, test_bad_input):
    with temporary_folder() as temporary:
        test(temporary)
finish()
