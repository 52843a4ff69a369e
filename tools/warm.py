"""Run lessons beforehand, so that in class every model comes from the cache.

    python tools/warm.py [DAY ...]   run every lesson of these days, or of all, twice; store nothing
    python tools/warm.py --shared    compile only what lessons share: products in most formulas
                                     with two predictors, and the packages' own code

For each lesson it prints the seconds of the first run and of the second, which is what the class
will wait. The set-up runs `--shared` in the background; it ends when its environment is removed.
"""

import argparse
import compileall
import os
import re
import sys
import sysconfig
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CELL_TIMEOUT = 600  # seconds


def run(path):
    """Run a lesson in a fresh kernel, store nothing, and return the seconds it took."""
    import nbformat
    from nbclient import NotebookClient

    start = time.perf_counter()
    NotebookClient(
        nbformat.read(path, as_version=4),
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    ).execute()
    return time.perf_counter() - start


def warm(lessons):
    """Run each lesson twice; return how many failed."""
    failed = 0
    for path in lessons:
        print(f"{path.relative_to(ROOT)}: ", end="", flush=True)
        try:
            print(f"{run(path):.0f} s, ", end="", flush=True)
            print(f"again {run(path):.0f} s", flush=True)
        except Exception as error:
            failed += 1
            line = str(error).strip().splitlines()[-1]
            print("failed: " + re.sub(r"\x1b\[[\d;]*m", "", line), flush=True)
    return failed


def leave_with_environment():
    """End this process as soon as the environment that it runs in is removed or replaced."""
    environment = Path(sys.prefix)
    try:
        identity = environment.stat().st_ino
        while environment.stat().st_ino == identity:
            time.sleep(0.5)
    finally:
        os._exit(1)


def compile_kernels():
    """Multiply a matrix and its transpose by a column, as Bambi's linear predictors do.

    PyTensor compiles a product once for each layout of the matrix and caches it on disk. Bambi is
    imported because Matplotlib, too, stores the list of fonts that it makes at its first import.
    """
    import bambi  # noqa: F401
    import numpy as np
    import pytensor
    import pytensor.tensor as pt

    # Whole numbers: dummies of categories, in a formula without an intercept.
    for numbers in ["float64", "int64"]:
        rows = pt.constant(np.ones((3, 2), dtype=numbers))
        for matrix in [rows, rows.T]:
            column = pt.matrix(shape=(None, 1))
            product = pytensor.function([column], pt.dot(matrix, column), mode="NUMBA")
            product(np.ones((matrix.type.shape[1], 1)))


def compile_packages():
    """Store the packages' code as Python compiles it, also where it is told not to.

    With PYTHONDONTWRITEBYTECODE set, the kernel of every lesson would compile all that it imports.
    """
    compileall.compile_dir(sysconfig.get_path("purelib"), quiet=2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("days", nargs="*", metavar="DAY", help="such as 3; else all")
    parser.add_argument("--shared", action="store_true", help="see above")
    arguments = parser.parse_args()
    if arguments.shared:
        threading.Thread(target=leave_with_environment, daemon=True).start()
        compile_kernels()
        compile_packages()
        return
    lessons = []
    for day in arguments.days or ["*"]:
        found = sorted(ROOT.glob(f"day{day}_*/*.ipynb"))
        if not found:
            sys.exit(f"There is no day {day}: give the number of a day, such as 3.")
        lessons += found
    failed = warm(lessons)
    if failed:
        sys.exit(f"{failed} of {len(lessons)} lessons failed: make test says why.")


if __name__ == "__main__":
    main()
