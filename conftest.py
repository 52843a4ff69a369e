"""How pytest checks the lessons: nbval collects and runs them, tools/output_check.py compares.

The rule is in tests/README.md. The join is one: each notebook that nbval collects is handed on as a
`LessonFile`, whose cells are compared by our rule. It also prints a table of the lessons' times and
peak memory at the end of a run, in which further runs for a second look are not counted.
"""

import copy
import functools
import os
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest
from nbformat.v4 import output_from_msg
from nbval.plugin import IPyNbCell, IPyNbFile

sys.path.insert(0, str(Path(__file__).parent / "tools"))
import execute
import output_check
import probe

# Two lessons run at a time: with threads of their own, matrix products wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

LESSON_SECONDS = 120
CELL_SECONDS = 30
LESSON_MEGABYTES = 1300
SHOWN = {"display_data", "execute_result", "stream", "error"}


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    """Let every notebook that nbval collects be checked by our rule."""
    return [
        LessonFile.from_parent(parent, path=file_path)
        if isinstance(collector, IPyNbFile)
        else collector
        for collector in (yield)
    ]


class LessonFile(IPyNbFile):
    """A notebook as nbval runs it, with the probe in its kernel and the record beside it."""

    def collect(self):
        for cell in super().collect():
            yield LessonCell.from_parent(
                self,
                name=cell.name,
                cell_num=cell.cell_num,
                cell=cell.cell,
                options=defaultdict(bool, check=True),
            )

    def setup(self):
        super().setup()
        self.record = execute.read_record(self.path)
        request = self.kernel.kc.execute(
            probe.source(), silent=True, store_history=False
        )
        self.kernel.await_reply(request, timeout=60)
        self.kernel.await_idle(request, timeout=60)
        self.heard, self.further_runs = [], {}

    def get_kernel_message(self, timeout=None, stream="iopub"):
        """Keep what the kernel says, in the order in which it says it."""
        message = super().get_kernel_message(timeout, stream)
        self.heard.append(message)
        return message

    def further_run(self, number):
        """The outputs of another run, with other seeds of the samplers, for a second look."""
        if number not in self.further_runs:
            self.further_runs[number] = execute.kept_run(self.path, number)
        return self.further_runs[number]


class LessonCell(IPyNbCell):
    """A code cell, compared by tools/output_check.py."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.stored = copy.deepcopy(self.cell)  # nbval changes the cell's own outputs
        self.seconds_of_check = 0.0

    def runtest(self):
        self.parent.heard.clear()
        super().runtest()
        if self.cell.execution_count is None:
            self.raise_cell_error("was never executed; run `make execute`")

    def compare_outputs(self, test, ref, skip_compare=None):
        """Stand in for nbval's exact comparison; the findings go where nbval prints its own."""
        fresh = [
            output_from_msg(m) for m in self.parent.heard if m["msg_type"] in SHOWN
        ]
        looks = [
            functools.partial(self.problems_in_run, number)
            for number in execute.FURTHER_LOOKS
        ]
        start = time.perf_counter()
        problems = output_check.confirmed(self.problems(fresh), looks)
        self.seconds_of_check = time.perf_counter() - start
        where = (
            f"{self.path.name}, code cell {self.cell_num} (id {self.cell.get('id')})"
        )
        self.comparison_traceback = [f"{where}: {problem}" for problem in problems]
        return not problems

    def problems(self, fresh):
        """What our rule says of some fresh outputs of this cell."""
        return output_check.problems_of(self.stored, fresh, self.parent.record)

    def problems_in_run(self, number):
        """What our rule says of the outputs of this cell in a further run."""
        return self.problems(self.parent.further_run(number)[self.cell_num])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if isinstance(item, LessonCell) and call.when == "call":
        own_seconds = call.duration - item.seconds_of_check
        report.user_properties.append(("cell_seconds", own_seconds))
        report.user_properties.append(
            ("peak_megabytes", _peak_megabytes(item.parent.kernel))
        )
    return report


def _peak_megabytes(kernel):
    """Peak resident memory of a lesson's kernel, where the system tells it (Linux), else 0."""
    try:
        file = Path(f"/proc/{kernel.km.provisioner.pid}/status")
        status = file.read_text(encoding="utf-8")
    except (OSError, AttributeError):
        return 0
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(lines.get("VmHWM", "0 kB").split()[0]) * 1024 / 1e6


def pytest_terminal_summary(terminalreporter):
    seconds, megabytes = defaultdict(list), defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            properties = dict(getattr(report, "user_properties", []))
            if "cell_seconds" in properties:
                lesson = report.nodeid.partition("::")[0]
                seconds[lesson].append(properties["cell_seconds"])
                megabytes[lesson] = max(megabytes[lesson], properties["peak_megabytes"])
    if not seconds:
        return
    terminalreporter.section("time and memory of each lesson")
    for lesson in sorted(seconds):
        total, slowest = sum(seconds[lesson]), max(seconds[lesson])
        over = total > LESSON_SECONDS or slowest > CELL_SECONDS
        over = over or megabytes[lesson] > LESSON_MEGABYTES
        terminalreporter.write_line(
            f"{lesson}: {total:.0f} s, slowest cell {slowest:.0f} s, "
            f"peak {megabytes[lesson]:.0f} MB{'  OVER BUDGET' if over else ''}"
        )
