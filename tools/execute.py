"""Run lessons from the top, store their outputs, and record how far the samplers' seeds move them.

    python tools/execute.py [LESSON ...]             store outputs, and the spread over seeds
    python tools/execute.py --draft LESSON ...       store outputs of one run (quick, for writing;
                                                     the checks will ask for a full run)
    python tools/execute.py --check N [LESSON ...]   compare N runs with other seeds; store nothing

Without a LESSON, every lesson of the book and the template. A lesson whose code, data and packages
are those of its record is passed over. Runs that ended are kept in _build/runs, so that a call that
was interrupted goes on where it stopped. The rules are in tests/README.md.
"""

import argparse
import ast
import hashlib
import json
import multiprocessing
import os
import re
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import images
import nbformat
import output_check
import probe
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "_build" / "runs"
SHIFT = 100_003  # between the samplers' seeds of one run and the next
RECORDED = range(16)  # run 0 has the lesson's own seeds
UNRECORDED = range(100, 200)
FURTHER_LOOKS = range(900, 900 + output_check.LOOKS - 1)  # the tests' own
WORKERS = 1 if "PYTEST_XDIST_WORKER" in os.environ else 2  # two of those run already
# A fork of a threaded process may hang, and so may the notebook client without a limit.
NEW_PROCESS = multiprocessing.get_context("spawn")
CELL_TIMEOUT = 300  # seconds
# As JupyterLab keeps them, or a lesson would be marked as changed once it is opened.
METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}


class LessonError(Exception):
    """What is wrong with a lesson, in words for its author."""


# The probe moves the seeds of PyMC's samplers; this, that of one which a lesson calls itself.
MOVE_NUTPIE = """
import functools
import nutpie

sample = nutpie.sample

@functools.wraps(sample)
def moved(*arguments, seed, **settings):
    return sample(*arguments, seed=seed + shift, **settings)

nutpie.sample = moved
"""


class ProbedClient(NotebookClient):
    """A notebook client whose kernels hold the probe before the first cell runs."""

    shift = 0

    async def async_start_new_kernel_client(self):
        client = await super().async_start_new_kernel_client()
        first = [probe.source(self.shift)]
        if any("import nutpie" in cell.source for cell in code_cells(self.nb)):
            first.append(f"exec({MOVE_NUTPIE!r}, {{'shift': {self.shift}}})")
        for code in first:
            client.execute(code, silent=True, store_history=False)
        return client


# --- Running ----------------------------------------------------------------------------------


def code_cells(notebook):
    """The code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def content(file, sources):
    """What a lesson reads of a file: of published.csv, the rows of lessons that it names."""
    lines = file.read_bytes().replace(b"\r\n", b"\n").splitlines(keepends=True)
    if file.name == "published.csv":
        code = "".join(sources)
        head, *rows = lines
        lines = [head, *(row for row in rows if row.split(b",")[0].decode() in code)]
    return b"".join(lines)


def made_from(path, notebook):
    """A fingerprint of all that a lesson's outputs are made from: code, data, style, packages.

    Comments and the layout of the code are not part of it.
    """
    digest = hashlib.sha256()
    sources = [cell.source for cell in code_cells(notebook)]
    for source in sources:
        digest.update(ast.dump(ast.parse(source)).encode() + b"\0")
    named = {name for s in sources for name in re.findall(r"\.\./[\w./]+", s)}
    files = [(path.parent / name).resolve() for name in sorted(named)]
    for file in filter(Path.is_file, files):
        digest.update(content(file, sources))
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    digest.update("\n".join(re.findall(r"^[\w.-]+==\S+", lock, re.M)).encode())
    code = (ROOT / "tools" / "probe.py").read_text(encoding="utf-8")
    digest.update(ast.dump(ast.parse(code)).encode())
    return digest.hexdigest()


def shown(notebook):
    """A fingerprint of the stored outputs: whether somebody changed them by hand."""
    outputs = [
        {k: v for k, v in output.items() if k != "execution_count"}
        for cell in code_cells(notebook)
        for output in cell.outputs
    ]
    return hashlib.sha256(json.dumps(outputs, sort_keys=True).encode()).hexdigest()


def run(path, shift=0):
    """Execute a lesson in a fresh kernel with the samplers' seeds moved by `shift`.

    Returns the executed notebook, with the outputs as the kernel sent them.
    """
    notebook = nbformat.read(path, as_version=4)
    client = ProbedClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        extra_arguments=[
            "--IPKernelApp.log_level=ERROR",
            "--InlineBackend.figure_formats=retina",  # sharp on fine screens
        ],
    )
    client.shift = shift
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in conftest.py
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(RUNS.parent / "jax"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise LessonError(f"a cell failed (seeds moved by {shift})\n{error}") from None
    return notebook


def kept_run(path, number):
    """The outputs of run `number` of a lesson: a list of outputs for each code cell.

    A run that was made before from the same code, data and packages is read from _build/runs.
    """
    key = made_from(path, nbformat.read(path, as_version=4))[:16]
    file = RUNS / path.parent.name / path.stem / key / f"{number}.json"
    if file.is_file():
        return nbformat.from_dict(json.loads(file.read_text(encoding="utf-8")))
    outputs = [cell.outputs for cell in code_cells(run(path, number * SHIFT))]
    write(file, json.dumps(outputs))
    return outputs


def write(file, text):
    """Write a text file in one step, so that nothing is ever left half-written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w",
        dir=file.parent,
        suffix=".tmp",
        delete=False,
        encoding="utf-8",
        newline="\n",
    ) as temporary:
        try:
            temporary.write(text)
            temporary.close()
            os.chmod(temporary.name, 0o644)
            os.replace(temporary.name, file)
        except BaseException:
            os.unlink(temporary.name)
            raise


# --- Recording --------------------------------------------------------------------------------


def record_file(path):
    """Where the record of a lesson stands: tests/recorded/day2_multilevel/02_beta_binomial.json."""
    folder = path.resolve().parent
    return folder.parent / "tests" / "recorded" / folder.name / f"{path.stem}.json"


def read_record(path):
    """The record of a lesson, an empty one if there is none."""
    file = record_file(path)
    if not file.is_file():
        return {"made_from": None, "shown": None, "runs": 0, "cells": {}}
    return json.loads(file.read_text(encoding="utf-8"))


def spread_of(cell, runs):
    """How the numbers of one cell move over runs.

    Parameters
    ----------
    cell : the code cell
    runs : a list of its outputs, one item for each run

    Returns
    -------
    (dict, list of str) : the spread as output_check.compare takes it, and what is wrong.
    """
    problems, spread = [], {}
    pieces = []
    failing = "shows-failure" in cell.metadata.get("tags", [])
    for outputs in runs:
        kept, report, warnings = output_check.clean(outputs)
        if warnings and not failing:
            problems.append(f"warns; remove the cause:\n{warnings}")
        pieces.append({f.where: f for f in output_check.fragments(kept, report)})
    orders = {tuple(found) for found in pieces}
    if len(orders) > len({frozenset(order) for order in orders}):
        problems.append("the order of its lines or rows changes with the seed")
    for where in dict.fromkeys(where for found in pieces for where in found):
        versions = [found.get(where) for found in pieces]
        hidden = any(version and version.hidden for version in versions)
        texts = {version and output_check.words([version])[0] for version in versions}
        if len(texts) > 1:
            if hidden:
                spread[where] = None
            else:
                problems.append(f"{where}: its words change with the seed")
            continue
        columns = list(zip(*(output_check.numbers([v]) for v in versions)))
        moves = [_mean_and_sd(column) for column in columns]
        if any(moves):
            spread[where] = moves
        if not failing:
            bounds = {output_check.sampling_bound(n) for c in columns for n in c}
            problems += [
                f"{where}: with one of the seeds ESS or R-hat is {bound}"
                for bound in bounds - {None, ""}
            ]
    return spread, problems


def _mean_and_sd(column):
    """Mean and standard deviation of one number over runs; None if it never moved."""
    if len({number.text for number in column}) == 1:
        return None
    values = [number.value for number in column]
    mean, sd = statistics.fmean(values), statistics.stdev(values)
    return [float(f"{mean:.10g}"), float(f"{sd:.3g}")]


def record(path, notebook, runs):
    """Put the outputs of the first run into a notebook, and make the record of all runs.

    A notebook whose stored outputs all agree with the first run keeps them. Else all are replaced,
    since what one run has drawn may be shown in several cells, and must be the same in each.

    Returns
    -------
    dict : the record, as it is stored in tests/recorded.
    """
    before, cells, problems, agree = read_record(path)["cells"], {}, [], True
    for number, cell in enumerate(code_cells(notebook)):
        versions = [outputs[number] for outputs in runs]
        spread, wrong = spread_of(cell, versions)
        problems += [f"code cell {number} (id {cell.id}), {each}" for each in wrong]
        tags = [tag for tag in cell.metadata.get("tags", []) if tag != "mcmc"]
        if any(spread.values()):
            tags.append("mcmc")
        cell.metadata.pop("tags", None)
        cell.metadata.pop("monte_carlo", None)
        if tags:
            cell.metadata["tags"] = sorted(tags)
        known = before.get(cell.id, {})
        cells[cell.id] = entry = {"report": known.get("report", {}), "spread": spread}
        if any("image/png" in output.get("data", {}) for output in versions[0]):
            code = ast.dump(ast.parse(cell.source)).encode()
            entry["drawn by"] = {"code": hashlib.sha256(code).hexdigest()[:12]}
        agree &= (
            cell.execution_count is not None
            # The check does not see all that a figure shows.
            and known.get("drawn by", entry.get("drawn by")) == entry.get("drawn by")
            and not output_check.compare(
                cell.outputs, versions[0], tags, entry, len(runs), cell.source
            )
        )
    for number, cell in enumerate(code_cells(notebook)):
        if not agree:
            kept, report, _ = output_check.clean(runs[0][number])
            cell.outputs, cells[cell.id]["report"] = kept, report
        cell.outputs = images.smaller(cell.outputs)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number + 1
        cell.execution_count = number + 1
    if problems:
        raise LessonError("\n".join(problems))
    notebook.metadata = METADATA
    return {
        "made_from": made_from(path, notebook),
        "shown": shown(notebook),
        "runs": len(runs),
        "cells": _filled({name: _filled(entry) for name, entry in cells.items()}),
    }


def _filled(entries):
    """The entries that hold something."""
    return {key: value for key, value in entries.items() if value}


def record_text(entries):
    """A record as JSON with one place a line, so that a change shows where it is."""
    cells = []
    for cell, parts in entries["cells"].items():
        sections = []
        for name, places in parts.items():
            lines = [f"   {_json(where)}: {_json(v)}" for where, v in places.items()]
            sections.append(f'  "{name}": {{\n' + ",\n".join(lines) + "\n  }")
        cells.append(f" {_json(cell)}: {{\n" + ",\n".join(sections) + "\n }")
    head = [f'"{k}": {_json(v)},' for k, v in entries.items() if k != "cells"]
    return "\n".join(["{", *head, '"cells": {', ",\n".join(cells), "}", "}", ""])


def _json(value):
    return json.dumps(value, ensure_ascii=False)


def weak_numbers(cells):
    """For each cell, how many moving numbers would accept half or twice their mean."""
    for cell, parts in cells.items():
        moving = [
            (mean, sd)
            for where, moves in parts.get("spread", {}).items()
            if moves and where not in parts.get("report", {})
            for mean, sd in filter(None, moves)
        ]
        weak = sum(output_check.BOUND * sd >= abs(mean) / 2 for mean, sd in moving)
        if weak:
            yield f"cell {cell}: {weak} of {len(moving)} moving numbers would accept half or twice"


def execute(path, draft):
    """Run a lesson, record its spread over seeds, and store both."""
    notebook = nbformat.read(path, as_version=4)
    before = read_record(path)
    now = (made_from(path, notebook), shown(notebook))
    if (before["made_from"], before.get("shown")) == now and not draft:
        print(f"{path}: nothing has changed", flush=True)
        return
    start = time.perf_counter()
    with ProcessPoolExecutor(WORKERS, NEW_PROCESS) as pool:
        first = range(1) if draft else RECORDED[:2]
        runs = list(pool.map(kept_run, [path] * len(first), first))
        found = [
            spread_of(cell, versions)
            for cell, *versions in zip(code_cells(notebook), *runs)
        ]
        moved, wrong = any(s for s, _ in found), any(p for _, p in found)
        if moved and not wrong:
            others = RECORDED[2:]
            runs += pool.map(kept_run, [path] * len(others), others)
    entries = record(path, notebook, runs)
    if draft:
        entries["made_from"] = None
    write(record_file(path), record_text(entries))
    write(path, nbformat.writes(notebook) + "\n")
    seconds = time.perf_counter() - start
    print(f"{path}: {len(runs)} runs stored after {seconds:.0f} s", flush=True)
    for line in weak_numbers(entries["cells"]):
        print(f"  {line}")


# --- Checking with other seeds ----------------------------------------------------------------


def check(path, count):
    """Compare `count` runs with unrecorded seeds to the stored outputs.

    An alarm counts if the next runs raise it too, as in the tests. Returns the number of alarms.
    """
    notebook, entries = nbformat.read(path, as_version=4), read_record(path)
    seeds = UNRECORDED[: max(count, output_check.LOOKS)]
    with ProcessPoolExecutor(WORKERS, NEW_PROCESS) as pool:
        runs = list(pool.map(kept_run, [path] * len(seeds), seeds))
    alarms = first_alarms = compared = 0
    for number, cell in enumerate(code_cells(notebook)):
        found = [
            output_check.problems_of(cell, outputs[number], entries) for outputs in runs
        ]
        for index in range(count):
            kept, report, _ = output_check.clean(runs[index][number])
            compared += len(output_check.numbers(output_check.fragments(kept, report)))
            first_alarms += len(found[index])
            looks = [
                found[(index + k) % len(runs)] for k in range(1, output_check.LOOKS)
            ]
            for problem in output_check.confirmed(found[index], looks):
                alarms += 1
                print(
                    f"run {seeds[index]}, {path}, code cell {number} (id {cell.id}): {problem}"
                )
    print(
        f"{path}: {count} other seeds, {compared} numbers compared, "
        f"{first_alarms} at first sight, {alarms} false alarms",
        flush=True,
    )
    return alarms


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="*", type=Path, metavar="LESSON")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--draft", action="store_true", help="store outputs of one run")
    mode.add_argument(
        "--check", type=int, metavar="N", help="compare N other seeds, store nothing"
    )
    arguments = parser.parse_args()
    if arguments.check is not None and arguments.check < 1:
        parser.error("--check takes a whole number from 1 on; nothing was run")
    lessons = arguments.lessons or sorted(
        [*ROOT.glob("day*/[0-9][0-9]_*.ipynb"), *ROOT.glob("template/*.ipynb")]
    )
    for path in lessons:
        if not path.is_file():
            sys.exit(
                f"There is no lesson {path}; name a notebook, such as template/NN_topic.ipynb."
            )
    alarms, failed = 0, []
    for path in lessons:
        try:
            if arguments.check:
                alarms += check(path, arguments.check)
            else:
                execute(path, arguments.draft)
        except LessonError as error:
            failed.append(path)
            print(f"{path}: not stored. {error}", file=sys.stderr, flush=True)
    if failed:
        sys.exit(f"Not stored: {', '.join(map(str, failed))}. All others went well.")
    sys.exit(1 if alarms else 0)


if __name__ == "__main__":
    main()
