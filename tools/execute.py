"""Run lessons from the top, store their outputs, and record how far Monte Carlo error moves them.

    python tools/execute.py [LESSON ...]             store outputs and the spread over seeds
    python tools/execute.py --draft [LESSON ...]     store outputs only (quick; the checks will ask
                                                     for a full run)
    python tools/execute.py --check N [LESSON ...]   compare N runs with new seeds; store nothing

Without a LESSON, every lesson of the book and the template. A lesson is written only if everything
went well. The rule for the recorded spread is in tests/README.md.
"""

import argparse
import multiprocessing
import os
import re
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nbformat
import output_check
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).parent.parent
OTHER_SEEDS = range(101, 116)  # the recorded runs beside the lesson's own
CHECK_SEEDS = range(9001, 9999)
WORKERS = 2
# A fork of a threaded process may hang, and so may the notebook client without a limit.
NEW_PROCESS = multiprocessing.get_context("spawn")
CELL_TIMEOUT = 180  # seconds
SEED_LINE = re.compile(r"^SEED = (\d+)$", re.MULTILINE)


class LessonError(Exception):
    """What is wrong with a lesson, in words for its author."""


def run(path, seed=None):
    """Execute a lesson in a fresh kernel.

    Parameters
    ----------
    path : Path of the notebook
    seed : int that replaces the lesson's SEED, or None to leave it

    Returns
    -------
    (notebook, seconds) : the executed notebook with cleaned outputs, and the time it took.
    """
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if seed is not None:
        seeded = [cell for cell in code if SEED_LINE.search(cell.source)]
        if len(seeded) != 1:
            raise LessonError(f"{path}: needs exactly one line `SEED = <number>`")
        seeded[0].source = SEED_LINE.sub(f"SEED = {seed}", seeded[0].source)
    start = time.perf_counter()
    try:
        NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            record_timing=False,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        ).execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise LessonError(
            f"{path}: a cell failed (seed {seed or 'of the lesson'})\n{error}"
        ) from None
    for number, cell in enumerate(code):
        cell.outputs, warnings = output_check.clean(cell.outputs)
        if warnings and "shows-failure" not in cell.metadata.get("tags", []):
            raise LessonError(
                f"{path}: code cell {number} warns; remove the cause:\n{warnings}"
            )
    return notebook, time.perf_counter() - start


def cells_with_numbers(notebook):
    """For each code cell: (number, cell, printed fragments, printed numbers)."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code):
        found = output_check.fragments(cell.outputs)
        yield number, cell, found, output_check.numbers(found)


def record_spread(path, notebook, others):
    """Write into each `mcmc` cell the mean and sd of its numbers over all runs.

    Raises LessonError where a cell is tagged wrongly: an untagged one that changes with the
    seed, or one whose words do.
    """
    problems = []
    runs = [notebook, *others]
    for cells in zip(*(cells_with_numbers(run) for run in runs)):
        number, cell = cells[0][:2]
        texts = {tuple(output_check.words(c[2])) for c in cells}
        printed = [tuple(n.text for n in c[3]) for c in cells]
        tagged = "mcmc" in cell.metadata.get("tags", [])
        where = f"{path}: code cell {number} (id {cell.id})"
        if len(texts) > 1:
            problems.append(
                f"{where}: its words change with the seed; print them another way"
            )
        elif len(set(printed)) > 1 and not tagged:
            problems.append(f"{where}: changes with the seed; tag it `mcmc`")
        elif tagged and printed[0]:
            cell.metadata["monte_carlo"] = spread(printed)
            if "shows-failure" not in cell.metadata["tags"]:
                bounds = {
                    output_check.sampling_bound(n) for c in cells for n in c[3]
                } - {None, ""}
                problems += [
                    f"{where}: with one of the seeds ESS or R-hat is {b}"
                    for b in bounds
                ]
    if problems:
        raise LessonError("\n".join(problems))


def spread(printed):
    """Mean and standard deviation of each printed number over runs (a list of tuples of texts)."""
    columns = [[float(text) for text in column] for column in zip(*printed)]
    return {
        "runs": len(printed),
        "mean": [float(f"{statistics.fmean(column):.6g}") for column in columns],
        "sd": [float(f"{statistics.stdev(column):.3g}") for column in columns],
    }


def store(path, notebook):
    """Write the notebook in one step, with nothing in its metadata that depends on the machine."""
    notebook.metadata = {
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    with tempfile.NamedTemporaryFile(
        "w",
        dir=path.parent,
        suffix=".tmp",
        delete=False,
        encoding="utf-8",
        newline="\n",
    ) as file:
        try:
            nbformat.write(notebook, file)
            file.close()
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def execute(path, draft):
    """Run a lesson, record its spread over seeds, and store it."""
    notebook, seconds = run(path)
    print(f"{path}: {seconds:.0f} s", flush=True)
    for cell in notebook.cells:
        cell.metadata.pop("monte_carlo", None)
    if not draft and any(
        "mcmc" in cell.metadata.get("tags", []) for cell in notebook.cells
    ):
        with ProcessPoolExecutor(WORKERS, NEW_PROCESS) as pool:
            others = [
                other
                for other, _ in pool.map(run, [path] * len(OTHER_SEEDS), OTHER_SEEDS)
            ]
        record_spread(path, notebook, others)
        print(f"{path}: spread recorded over {len(others) + 1} seeds", flush=True)
    store(path, notebook)


def check(path, count):
    """Compare `count` runs with new seeds to the stored outputs; returns the number of alarms."""
    stored = nbformat.read(path, as_version=4)
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    alarms = compared = 0
    with ProcessPoolExecutor(WORKERS, NEW_PROCESS) as pool:
        for seed, (fresh, _) in zip(
            CHECK_SEEDS, pool.map(run, [path] * count, CHECK_SEEDS)
        ):
            for number, cell, _, printed in cells_with_numbers(fresh):
                tags, record = (
                    cell.metadata.get("tags", []),
                    cell.metadata.get("monte_carlo"),
                )
                compared += len(printed)
                for problem in output_check.compare(
                    code[number].outputs, cell.outputs, tags, record
                ):
                    alarms += 1
                    print(
                        f"seed {seed}, {path}, code cell {number} (id {cell.id}): {problem}"
                    )
    print(
        f"{path}: {count} other seeds, {compared} numbers compared, {alarms} false alarms"
    )
    return alarms


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="*", type=Path, metavar="LESSON")
    parser.add_argument(
        "--draft", action="store_true", help="store outputs without the spread"
    )
    parser.add_argument(
        "--check", type=int, metavar="N", help="compare N new seeds, store nothing"
    )
    arguments = parser.parse_args()
    lessons = arguments.lessons or sorted(
        [*ROOT.glob("day*/*.ipynb"), *ROOT.glob("template/*.ipynb")]
    )
    for path in lessons:
        if not path.is_file():
            sys.exit(
                f"There is no lesson {path}; name a notebook, such as template/NN_topic.ipynb."
            )
    alarms = 0
    try:
        for path in lessons:
            if arguments.check:
                alarms += check(path, arguments.check)
            else:
                execute(path, arguments.draft)
    except LessonError as error:
        sys.exit(f"Nothing was stored. {error}")
    sys.exit(1 if alarms else 0)


if __name__ == "__main__":
    main()
