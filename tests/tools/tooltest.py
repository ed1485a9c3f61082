# SPDX-License-Identifier: MIT
"""What the tests of the tools share: run a program, write small tensors, check, count."""
import json
import os
import shlex
import struct
import subprocess
import sys
import tempfile

FORMATS = {"float32": (3, "f"), "float16": (2, "e"), "int32": (1, "i"), "int64": (4, "q"),
           "uint8": (8, "B")}
_failures = []
_checks = [0]


def check(condition, text):
    _checks[0] += 1
    if not condition:
        _failures.append(text)
        print("FAIL", text)


def tensor(path, dtype, dims, values):
    number, code = FORMATS[dtype]
    with open(path, "wb") as file:
        file.write(struct.pack("<Iii%di" % len(dims), 0x33FF1101, len(dims), number, *dims))
        file.write(struct.pack("<%d%s" % (len(values), code), *values))
    return path


def read_tensor(path):
    """(dtype, dims, values) of a .tensor file"""
    with open(path, "rb") as file:
        data = file.read()
    _, rank, number = struct.unpack_from("<Iii", data)
    dims = struct.unpack_from("<%di" % rank, data, 12)
    name, code = next((n, c) for n, (t, c) in FORMATS.items() if t == number)
    count = 1
    for dim in dims:
        count *= dim
    return name, dims, struct.unpack_from("<%d%s" % (count, code), data, 12 + 4 * rank)


class Tool:
    """run(arguments) -> (exit code, stdout, stderr)"""

    def __init__(self, program):
        self.program = program

    def run(self, *args):
        # an emulator, where Meson builds for another machine
        wrapper = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))
        done = subprocess.run([*wrapper, self.program, *map(str, args)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=300)
        check(done.returncode in (0, 1, 2),
              "%s %s: exit code %d" % (self.program, args, done.returncode))
        return done.returncode, done.stdout, done.stderr

    def json(self, *args):
        code, out, _ = self.run(*args)
        try:
            return code, json.loads(out)
        except ValueError:
            check(False, "%s: no JSON: %r" % (args, out))
            return code, {}

    def refused(self, says, *args):
        """Exit code 2, nothing on stdout, one line on stderr that says `says`."""
        code, out, err = self.run(*args)
        check(code == 2, "%s: exit code %d, expected 2" % (args, code))
        check(out == "", "%s: prints %r" % (args, out))
        check(says in err, "%s: %r does not say %r" % (args, err, says))
        check(err.count("\n") == 1, "%s: not one line: %r" % (args, err))

    def has_manual(self):
        code, out, err = self.run("--help")
        check(code == 0 and not err, "--help fails")
        for part in ("NAME", "SYNOPSIS", "OPTIONS", "EXIT STATUS", "EXAMPLES"):
            check(part in out, "--help lacks %s" % part)
        code, out, _ = self.run("--version")
        check(code == 0 and out.split()[0] == os.path.basename(self.program),
              "--version prints %r" % out)


def finish():
    print("%d checks, %d failures" % (_checks[0], len(_failures)))
    sys.exit(1 if _failures or not _checks[0] else 0)


def temporary_folder():
    return tempfile.TemporaryDirectory(prefix="spc-tools-")
