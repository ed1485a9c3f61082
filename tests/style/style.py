#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The few rules of style that a script can hold.  style.py [--self-test]

Licence line first, 100 columns, no tabs, no trailing space, files and functions of bounded
length, nothing left for later, a library that neither exits nor prints nor typedefs structs, and
no name that is NVIDIA's.
"""
import re
import sys

import tree

COLUMNS, FILE_LINES, FUNCTION_LINES = 100, 600, 60
# The public API is one file by design, and half of it is comments.
HEADER, HEADER_LINES = "engine/include/spc/spc.h", 750
C_FILES = (".c", ".h", ".cu", ".cuh", ".inc")
SPDX = "SPDX-License-Identifier: MIT"
LATER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
LIBRARY = re.compile(r"engine/(?!tools/|python/)|cuda/|gst-spconv/")
NVIDIAS = re.compile(r"\blibspconv|<spconv/")
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(\\.|[^"\\\n])*"', re.S)


def without_comments(text):
    """C without comments and strings, line for line."""
    return COMMENT_OR_STRING.sub(lambda m: "\n" * m.group().count("\n"), text)


def line_errors(path, text):
    for i, line in enumerate(text.split("\n"), 1):
        where = "%s:%d: " % (path, i)
        if len(line) > COLUMNS and not path.endswith(".md"):
            yield where + "%d columns; at most %d" % (len(line), COLUMNS)
        if "\t" in line:
            yield where + "tab"
        if line != line.rstrip():
            yield where + "trailing space"
        if LATER.search(line):
            yield where + "a note for later: do it, or leave it out"


def function_errors(path, code):
    """A function's body runs from a lone { to a } in the first column."""
    start = 0
    for i, line in enumerate(code.split("\n"), 1):
        if line == "{":
            start = i
        elif line.startswith("}") and start:
            if i - start - 1 > FUNCTION_LINES:
                yield "%s:%d: function of %d lines; at most %d" % (path, start, i - start - 1,
                                                                   FUNCTION_LINES)
            start = 0


def library_errors(path, code):
    for i, line in enumerate(code.split("\n"), 1):
        where = "%s:%d: " % (path, i)
        if re.search(r"\b(_?exit|abort|assert)\s*\(", line):
            yield where + "the library never ends the program: return an error"
        if re.search(r"(?<!\w)(f?printf|puts|perror)\s*\(", line):
            yield where + "the library never prints: use the log callback"
        if path.startswith(("engine/", "cuda/")) and re.search(r"\btypedef\s+(struct|union)\b",
                                                              line):
            yield where + "no typedef of a struct"


def check(path, text):
    errors = list(line_errors(path, text))
    head = text.split("\n")[:2]
    if not path.endswith((".md", ".txt", ".proto")) and not any(SPDX in line for line in head):
        errors.append(path + ":1: no line \"%s\"" % SPDX)
    if text and not text.endswith("\n"):
        errors.append(path + ": no newline at the end")
    if path.endswith(C_FILES):
        code = without_comments(text)
        lines = text.count("\n")
        most = HEADER_LINES if path == HEADER else FILE_LINES
        if lines > most:
            errors.append("%s: %d lines; at most %d" % (path, lines, most))
        errors += function_errors(path, code)
        if LIBRARY.match(path):
            errors += library_errors(path, code)
        if NVIDIAS.search(code):
            errors.append(path + ": a name that is NVIDIA's")
    elif path.endswith("meson.build") and NVIDIAS.search(text):
        errors.append(path + ": a name that is NVIDIA's")
    return errors


HEAD = "/* %s */\n" % SPDX
GOOD = [
    ("engine/a.c", HEAD + "/* abort() is not for us, nor libspconv */\nint f(void)\n{\n}\n"),
    ("engine/tools/a.c", HEAD + "int main(void)\n{\n    printf(\"x\");\n}\n"),
    ("engine/a.c", HEAD + "int f(void)\n{\n    snprintf(b, 1, \"exit(\");\n}\n"),
    ("gst-spconv/a.h", HEAD + "typedef struct _A A;\n"),
    ("README.md", "x" * 200 + "\n"),
]
BAD = [
    ("engine/a.c", "int x;\n"),
    ("engine/a.c", HEAD + "int x;"),
    ("engine/a.c", HEAD + "//" + "x" * 99 + "\n"),
    ("engine/a.c", HEAD + "\tint x;\n"),
    ("engine/a.c", HEAD + "int x; \n"),
    ("engine/a.c", HEAD + "/* TO" + "DO */\n"),
    ("engine/a.c", HEAD + "int x;\n" * FILE_LINES),
    (HEADER, HEAD + "int x;\n" * HEADER_LINES),
    ("engine/a.c", HEAD + "int f(void)\n{\n" + "    x();\n" * (FUNCTION_LINES + 1) + "}\n"),
    ("engine/a.c", HEAD + "int f(void)\n{\n    abort();\n}\n"),
    ("gst-spconv/a.c", HEAD + "int f(void)\n{\n    exit(1);\n}\n"),
    ("engine/a.c", HEAD + "int f(void)\n{\n    fprintf(stderr, \"\");\n}\n"),
    ("engine/a.h", HEAD + "typedef struct a a_t;\n"),
    ("engine/a.c", HEAD + "#include <spconv/engine.hpp>\n"),
    ("engine/meson.build", "# %s\nshared_library('libspconv')\n" % SPDX),
]

if __name__ == "__main__":
    if "--self-test" in sys.argv:
        tree.self_test(check, GOOD, BAD)
    found, count = [], 0
    for name, content in tree.files(C_FILES + (".py", ".sh", ".md", ".proto", "meson.build",
                                               "/run", "/demo", "/setup")):
        found += check(name, content)
        count += 1
    tree.report(found, count)
