#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""spc-compare.  compare.py PROGRAM"""
import math
import os
import sys

from tooltest import Tool, check, finish, temporary_folder, tensor

tool = Tool(sys.argv[1])


def near(value, expected):
    return value is not None and abs(value - expected) <= 1e-12 * max(1, abs(expected))


def test_numbers(folder):
    a = tensor(folder + "/a.tensor", "float32", [2, 2], [1, 2, 3, 4])
    b = tensor(folder + "/b.tensor", "float32", [2, 2], [1, 2, 3, 8])
    code, r = tool.json(a, b, "--json")
    check(code == 0 and r["held"] is True, "no bounds, but failed")
    check(r["max"] == 4 and r["sum"] == 4 and r["mean"] == 1 and r["nonzero"] == 1, "differences")
    check(near(r["std"], math.sqrt(3)), "std")
    check(near(r["rel_l2"], 4 / math.sqrt(78)), "relative L2")
    check(near(r["cosine"], 46 / math.sqrt(30 * 78)), "cosine")
    check(r["above"] == [1, 1, 1], "counts")
    check(r["a"]["max"] == 4 and r["b"]["max"] == 8 and r["b"]["mean"] == 3.5, "ranges")
    code, out, _ = tool.run(a, b, "--detail")
    for part in ("[absdiff]: max:4, sum:4,", "[absdiff > m75% --- 3]: 25.000 %, 1",
                 "[absdiff = 0]: 75.000 %, 3", "[absdiff max at]: 3, A:4, B:8", "2 x 2, float32"):
        check(part in out, "--detail lacks %r" % part)


def test_bounds(folder):
    a = tensor(folder + "/a.tensor", "float32", [3], [1, 2, 3])
    b = tensor(folder + "/b.tensor", "float32", [3], [1, 2, 3.5])
    for bound, held in (("--max-abs=0.5", True), ("--max-abs=0.49", False),
                        ("--max-rel-l2=0.2", True), ("--max-rel-l2=0.1", False),
                        ("--min-cosine=0.99", True), ("--min-cosine=0.9999", False)):
        code, _, err = tool.run(a, b, bound)
        check(code == (0 if held else 1), "%s: exit code %d" % (bound, code))
        check(held or "the bound" in err, "%s: says %r" % (bound, err))
    code, r = tool.json(a, b, "--json", "--max-abs", "0")
    check(code == 1 and r["held"] is False, "--json with a failed bound")
    code, _, _ = tool.run(a, a, "--max-abs", "0", "--max-rel-l2", "0", "--min-cosine", "1")
    check(code == 0, "equal files differ")


def test_types_and_shapes(folder):
    a = tensor(folder + "/a.tensor", "float16", [1, 2, 3], [0, 1, 2, 3, 4, 5])
    b = tensor(folder + "/b.tensor", "int64", [6], [0, 1, 2, 3, 4, 5])
    code, out, _ = tool.run(a, b, "--max-abs", "0")
    check(code == 0 and "shapes differ" in out, "float16 against int64")
    c = tensor(folder + "/c.tensor", "float32", [5], [0, 1, 2, 3, 4])
    tool.refused("A has 6 elements [1,2,3], B has 5 [5]", a, c)
    e = tensor(folder + "/e.tensor", "float32", [0, 4], [])
    code, r = tool.json(e, e, "--json", "--max-abs", "0")
    check(code == 0 and r["count"] == 0 and r["cosine"] == 1, "empty arrays")
    z = tensor(folder + "/z.tensor", "float32", [5], [0] * 5)
    code, r = tool.json(c, z, "--json")
    check(r["cosine"] == 0 and r["rel_l2"] is None, "against zeros")
    code, r = tool.json(z, z, "--json")
    check(r["cosine"] == 1 and r["rel_l2"] == 0, "zeros against zeros")


def test_not_finite(folder):
    nan, inf = float("nan"), float("inf")
    a = tensor(folder + "/a.tensor", "float32", [4], [nan, inf, 1, 2])
    code, r = tool.json(a, a, "--json", "--max-abs", "0")
    check(code == 0 and r["compared"] == 2 and r["mismatched"] == 0, "same NaN and infinity")
    check(r["a"]["nan"] == 1 and r["a"]["inf"] == 1, "counts of NaN and infinity")
    b = tensor(folder + "/b.tensor", "float32", [4], [0, -inf, 1, 2])
    code, r = tool.json(a, b, "--json")
    check(code == 1 and r["mismatched"] == 2, "NaN on one side only")


def test_sparse(folder):
    fa = tensor(folder + "/fa.tensor", "float32", [3, 2], [1, 2, 3, 4, 5, 6])
    ia = tensor(folder + "/ia.tensor", "int32", [3, 4], [0, 0, 0, 1, 0, 0, 0, 2, 0, 5, 0, 0])
    fb = tensor(folder + "/fb.tensor", "float32", [3, 2], [5, 6, 1, 2, 3, 4])
    ib = tensor(folder + "/ib.tensor", "int32", [3, 4], [0, 5, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2])
    code, r = tool.json(fa, fb, "--indices-a", ia, "--indices-b", ib, "--json", "--max-abs", "0")
    check(code == 0 and r["sites"] == 3 and r["count"] == 6, "rows in another order")
    ic = tensor(folder + "/ic.tensor", "int32", [3, 4], [0, 5, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9])
    code, r = tool.json(fa, fb, "--indices-a", ia, "--indices-b", ic, "--json")
    check(code == 1 and (r["sites"], r["only_a"], r["only_b"]) == (2, 1, 1), "other sites")
    twice = tensor(folder + "/id.tensor", "int32", [3, 4], [0, 5, 0, 0] * 2 + [0, 0, 0, 1])
    tool.refused("the same index twice in B", fa, fb, "--indices-a", ia, "--indices-b", twice)
    short = tensor(folder + "/is.tensor", "int32", [2, 4], [0] * 8)
    tool.refused("2 rows of indices, 3 rows of features", fa, fb, "--indices-a", short,
                 "--indices-b", ib)
    tool.refused("indices are int32", fa, fb, "--indices-a", fa, "--indices-b", ib)
    tool.refused("belong together", fa, fb, "--indices-a", ia)


def test_refusals(folder):
    a = tensor(folder + "/a.tensor", "float32", [1], [1])
    bad = os.path.join(folder, "bad.tensor")
    with open(bad, "wb") as file:
        file.write(b"nonsense")
    tool.refused("bad.tensor: neither", a, bad)
    tool.refused("none.tensor: cannot be opened", a, folder + "/none.tensor")
    tool.refused("expected two files", a)
    tool.refused("too many", a, a, a)
    tool.refused("--nonsense is no option", a, a, "--nonsense")
    tool.refused("expected a number", a, a, "--max-abs", "x")
    tool.refused("needs a value", a, a, "--max-abs")
    tool.refused("takes no value", a, a, "--json=1")


tool.has_manual()
for test in (test_numbers, test_bounds, test_types_and_shapes, test_not_finite, test_sparse,
             test_refusals):
    with temporary_folder() as temporary:
        test(temporary)
finish()
