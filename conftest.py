"""How pytest checks the lessons: nbval runs them, tools/output_check.py compares their outputs.

The rule is in tests/README.md. This file only joins the two and prints a table of the lessons'
times and peak memory at the end of a run.
"""

import sys
from collections import defaultdict
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell

sys.path.insert(0, str(Path(__file__).parent / "tools"))
import output_check

LESSON_SECONDS = 180
CELL_SECONDS = 45
LESSON_MEGABYTES = 1300
NEVER = -1  # execution count given to cells without one


def compare_outputs(item, fresh, stored, skip_compare=None):
    """Stand in for nbval's exact comparison; the findings go where nbval prints its own."""
    cell = item.cell
    tags, record = cell.metadata.get("tags", []), cell.metadata.get("monte_carlo")
    problems = output_check.compare(stored, fresh, tags, record)
    if cell.execution_count == NEVER:
        problems.insert(0, "was never executed; run `make execute`")
    item.comparison_traceback = [f"{_name(item)}: {problem}" for problem in problems]
    return not problems


IPyNbCell.compare_outputs = compare_outputs


def _name(item):
    return (
        f"{item.path.name}, code cell {item.cell_num} (id {item.cell.get('id', '?')})"
    )


def pytest_itemcollected(item):
    """Let nbval compare cells that were never executed too; it would pass them unchecked."""
    if isinstance(item, IPyNbCell) and item.cell.execution_count is None:
        item.cell.execution_count = NEVER


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if isinstance(item, IPyNbCell) and call.when == "call":
        report.user_properties.append(("cell_seconds", call.duration))
        report.user_properties.append(
            ("peak_megabytes", _peak_megabytes(item.parent.kernel))
        )
    return report


def _peak_megabytes(kernel):
    """Peak resident memory of a lesson's kernel, where the system tells it (Linux), else 0."""
    try:
        status = Path(f"/proc/{kernel.km.provisioner.pid}/status").read_text()
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
