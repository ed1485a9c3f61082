#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The engine's binaries: no writable global state, and no exported name but spc_*.

    symbols.py STATIC_LIBRARY SHARED_LIBRARY
    symbols.py --self-test COMPILER
"""
import pathlib
import re
import subprocess
import sys
import tempfile

WRITABLE = re.compile(r" O \.(data|bss|tdata|tbss)(\.\S*)?\s+\S+\s+(\S+)$")
CONST_AFTER_RELOCATION = ".data.rel.ro"


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def globals_of(library):
    """Objects in writable sections. Sanitizers, coverage and nvcc add some of their own."""
    for line in output("objdump", "-t", library).splitlines():
        match = WRITABLE.search(line)
        if match and CONST_AFTER_RELOCATION not in line and \
                not re.search(r"__(asan|ubsan|tsan|gcov|sancov|odr|device_stub__|cudaFatCubin)|"
                              r"\.LUBSAN|^\.L|\.Lubsan", match.group(3)) and \
                not re.match(r"\*?\.L|_?Lubsan", match.group(3)):
            yield match.group(3)


def foreign_exports(library):
    for line in output("nm", "-D", "--defined-only", library).splitlines():
        name = line.split()[-1]
        if not name.startswith("spc_") and not re.match(r"_|\.", name):
            yield name


def self_test(compiler):
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "a.c"
        source.write_text("static int count; int leak(void);\n"
                          "static const char *const names[] = {\"a\", \"b\"};\n"
                          "const char *name(int i); const char *name(int i) { return names[i]; }\n"
                          "int leak(void) { return ++count; }\n")
        library = str(pathlib.Path(folder) / "liba.so")
        output(*compiler, "-fPIC", "-shared", "-O0", str(source), "-o", library)
        found = list(globals_of(library)), sorted(foreign_exports(library))
        print("self-test found:", found)
        sys.exit(0 if "count" in found[0] and "names" not in found[0] and
                 found[1] == ["leak", "name"] else 1)


if __name__ == "__main__":
    if sys.argv[1] == "--self-test":
        self_test(sys.argv[2:])
    errors = ["%s: writable global %s" % (sys.argv[1], n) for n in globals_of(sys.argv[1])]
    errors += ["%s: exports %s" % (sys.argv[2], n) for n in foreign_exports(sys.argv[2])]
    print("\n".join(errors + ["%d errors" % len(errors)]))
    sys.exit(1 if errors else 0)
