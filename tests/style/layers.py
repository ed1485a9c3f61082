#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who may include whom.  layers.py [--self-test]

Layers only point down: base <- graph <- {onnx, backend.h} <- model, session; the CPU backend
sees the backend contract, graph and base, never ONNX; a kernel sees raw pointers, so only base
and the kernels' own headers; plugin and tools see nothing of the engine but <spc/spc.h>.
"""
import re
import sys

import tree

# (files, the "quoted" includes that they may have). The first match counts.
QUOTED = [
    (r"engine/include/", r"$^"),
    (r"engine/base/", r"base/"),
    (r"engine/graph/", r"(base|graph)/"),
    (r"engine/onnx/", r"(base|graph|onnx)/|onnx\.pb-c\.h$"),
    (r"engine/formats/", r"(base|formats)/"),
    (r"engine/voxel/", r"(base|voxel)/|cpu/(sites|columns)\.h$"),
    # Kernels: no allocation, logging, threads or graph.
    (r"engine/cpu/((x86|arm)/.*|(conv|dense|rows|convert|act)[a-z0-9_]*_c)\.[ch]$",
     r"base/(half|act)\.h$|cpu/([a-z0-9_]*kernels[a-z0-9_]*|activate|x86/.*|arm/.*)\.(h|inc)$"
     r"|cpu/(tile|conv_rows6|rows_vector)\.h$"),
    (r"engine/cpu/kernels[a-z0-9_]*\.h$", r"base/|cpu/kernels"),
    (r"engine/cpu/", r"(base|graph|cpu)/|backend\.h$"),
    (r"engine/backend\.[ch]$", r"(base|graph)/|backend\.h$"),
    (r"engine/model\.[ch]$", r"(base|graph|onnx)/|model\.h$"),
    (r"engine/session[a-z_]*\.[ch]$", r"(base|graph)/|(backend|model|session[a-z_]*)\.h$"),
    (r"engine/voxelizer\.c$", r"(base|voxel)/|backend\.h$"),
    (r"engine/tools/", r"tools/|[a-z_]+\.h$"),
    (r"engine/", r"$^"),
    # CUDA kernels: launchers' headers and device helpers, never the host side.
    (r"cuda/.*\.(cu|cuh)$", r"base/act\.h$|cuda/(?!instance|device)[a-z0-9_]+\.(h|cuh)$"),
    (r"cuda/", r"(base|graph|cuda)/|backend\.h$|voxel/voxelizer\.h$"),
    (r"gst-spconv/", r"[a-z0-9-]+\.(h|inc)$"),
]

# <angled> includes that only these files may have.
ANGLED = [
    (r"(gst|glib|gobject|gio)[/.-]", r"gst-spconv/|tests/(gst|gpu)/|tests/fuzz/"),
    (r"(google/)?protobuf", r"engine/onnx/"),
    (r"cuda|cublas|nv", r"cuda/|gst-spconv/|tests/(gpu|check)/"),
    (r"spconv/|scn/", r"$^"),  # NVIDIA's and spconv's own headers
    (r"immintrin|arm_neon",
     r"engine/cpu/((x86|arm)/|pairs_avx512)|engine/formats/|engine/voxel/|tests/"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)


def check(path, text):
    errors = []
    for bracket, name in INCLUDE.findall(text):
        if bracket == '"':
            for files, allowed in QUOTED:
                if re.match(files, path):
                    if not re.match(allowed, name):
                        errors.append("%s: may not include \"%s\"" % (path, name))
                    break
        else:
            for names, users in ANGLED:
                if re.match(names, name) and not re.match(users, path):
                    errors.append("%s: may not include <%s>" % (path, name))
    return errors


GOOD = [
    ("engine/graph/plan.c", '#include "graph/plan.h"\n#include <spc/spc.h>\n'),
    ("engine/cpu/x86/conv_avx2.c", '#include "cpu/kernels.h"\n#include <immintrin.h>\n'),
    ("cuda/rows.cu", '#include "cuda/common.cuh"\n#include "cuda/kernels.h"\n'),
    ("engine/tools/spc-infer.c", '#include "args.h"\n#include <spc/spc.h>\n'),
    ("gst-spconv/gstspconvinfer.c", '#include "gstspconvcaps.h"\n#include <gst/gst.h>\n'),
]
BAD = [
    ("engine/include/spc/spc.h", '#include "base/error.h"\n'),
    ("engine/base/mem.c", '#include "graph/graph.h"\n'),
    ("engine/graph/plan.c", '#include "backend.h"\n'),
    ("engine/cpu/backend_cpu.c", '#include "onnx/load.h"\n'),
    ("engine/cpu/x86/conv_avx2.c", '#include "base/mem.h"\n'),
    ("engine/cpu/conv_c.c", '#include "graph/graph.h"\n'),
    ("engine/session.c", '#include "onnx/load.h"\n'),
    ("engine/session.c", '#include "../cuda/backend_cuda.h"\n'),
    ("engine/tools/spc-infer.c", '#include "graph/graph.h"\n'),
    ("cuda/rows.cu", '#include "cuda/instance.h"\n'),
    ("cuda/rows.cu", '#include "backend.h"\n'),
    ("engine/new/file.c", '#include "base/mem.h"\n'),
    ("gst-spconv/gstspconvinfer.c", '#include "base/mem.h"\n'),
    ("engine/formats/npy.c", "#include <gst/gst.h>\n"),
    ("engine/model.c", "#  include <protobuf-c/protobuf-c.h>\n"),
    ("engine/session.c", "#include <cuda_runtime_api.h>\n"),
    ("tests/api/lifecycle.c", "#include <spconv/engine.hpp>\n"),
]

if __name__ == "__main__":
    if "--self-test" in sys.argv:
        tree.self_test(check, GOOD, BAD)
    found, count = [], 0
    for name, content in tree.files((".c", ".h", ".cu", ".cuh", ".inc")):
        found += check(name, content)
        count += 1
    tree.report(found, count)
