# SPDX-License-Identifier: MIT
"""What the style checks share: the project's files, and how a check reports."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIP = {".git", ".ci", "__pycache__", "corpus", "subprojects"}


def files(suffixes, root=ROOT):
    """(path relative to the root, text) of each file with one of the suffixes."""
    todo = [root]
    while todo:
        for path in sorted(todo.pop().iterdir()):
            if path.is_dir():
                if path.name not in SKIP and not path.name.startswith(("build", ".venv", ".cache")):
                    todo.append(path)
            elif ("/" + path.name).endswith(tuple(suffixes)):
                yield path.relative_to(root).as_posix(), path.read_text(errors="replace")


def report(errors, count):
    for error in errors:
        print(error)
    print("%d files, %d errors" % (count, len(errors)))
    if not count:
        print("no files were found: the check looks in the wrong place")
    sys.exit(1 if errors or not count else 0)


def self_test(check, good, bad):
    """A check must pass every `good` (path, text) and complain of every `bad` one."""
    failures = ["false alarm: %s: %s" % (p, check(p, t)) for p, t in good if check(p, t)]
    failures += ["not noticed: %s: %r" % (p, t) for p, t in bad if not check(p, t)]
    for failure in failures:
        print(failure)
    print("self-test: %d examples, %d failures" % (len(good) + len(bad), len(failures)))
    sys.exit(1 if failures else 0)
