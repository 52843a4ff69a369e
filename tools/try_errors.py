"""Make deliberate errors in the lessons, one at a time, and count how many the check catches.

    python tools/try_errors.py [NUMBER ...]

Without a NUMBER, all of tests/deliberate_errors.json. Nothing in the project is changed: each error
is made in a copy of its lesson. Takes about half a minute an error.
"""

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import execute
import nbformat
import output_check

ERRORS = execute.ROOT / "tests" / "deliberate_errors.json"


def spoilt_copy(error, folder):
    """A copy of the lesson in `folder`, with the error made; returns its path."""
    for name in ["data", "book.mplstyle"]:
        os.symlink(execute.ROOT / name, folder / name)
    path = folder / f"{error['lesson']}.ipynb"
    path.parent.mkdir()
    shutil.copy(execute.ROOT / f"{error['lesson']}.ipynb", path)
    notebook = nbformat.read(path, as_version=4)
    (cell,) = [cell for cell in notebook.cells if cell.id == error["cell"]]
    if cell.source.count(error["old"]) != 1:
        raise ValueError(
            f"{error['lesson']}, {error['cell']}: {error['old']!r} is not there once"
        )
    cell.source = cell.source.replace(error["old"], error["new"])
    nbformat.write(notebook, path)
    return path


def problems_in_run(lesson, path, number):
    """What the check says of each cell of a spoilt copy, run with the samplers' seeds moved."""
    stored, entries = nbformat.read(lesson, as_version=4), execute.read_record(lesson)
    fresh = execute.run(path, number * execute.SHIFT)
    return [
        output_check.problems_of(old, new.outputs, entries, new.source)
        for old, new in zip(execute.code_cells(stored), execute.code_cells(fresh))
    ]


def caught(error):
    """The first problem that the check finds in a lesson with this error, "" if it finds none."""
    lesson = execute.ROOT / f"{error['lesson']}.ipynb"
    with tempfile.TemporaryDirectory() as folder:
        path = spoilt_copy(error, Path(folder))
        try:
            first = problems_in_run(lesson, path, 0)
            looks = {}

            def look(number, cell):
                if number not in looks:
                    looks[number] = problems_in_run(lesson, path, number)
                return looks[number][cell]

            for cell, problems in enumerate(first):
                further = [
                    partial(look, number, cell) for number in execute.FURTHER_LOOKS
                ]
                if counted := output_check.confirmed(problems, further):
                    return f"cell {cell}, {counted[0]}"
        except execute.LessonError as stopped:
            return str(stopped).splitlines()[0]
    return ""


def main():
    errors = json.loads(ERRORS.read_text(encoding="utf-8"))
    chosen = [int(number) for number in sys.argv[1:]] or range(len(errors))
    with ProcessPoolExecutor(
        execute.WORKERS, multiprocessing.get_context("spawn")
    ) as pool:
        found = pool.map(caught, [errors[number] for number in chosen])
        made, seen = Counter(), Counter()
        for number, problem in zip(chosen, found):
            error = errors[number]
            made[error["kind"]] += 1
            seen[error["kind"]] += bool(problem)
            verdict = f"caught: {problem[:160]}" if problem else "NOT CAUGHT"
            print(f"{number}, {error['lesson']}, {error['what']} {verdict}", flush=True)
    for kind in made:
        print(f"{kind}: {seen[kind]} of {made[kind]} caught")


if __name__ == "__main__":
    main()
