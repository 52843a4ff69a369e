"""The output check proved on itself: what must pass passes, what must fail fails and says why."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import execute
import nbformat
import numpy as np
import output_check
import pytest
from nbformat.v4 import new_output

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "template" / "NN_topic.ipynb"
LESSON = "day2_multilevel/02_beta_binomial.ipynb"


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def table(rows, columns=("mean", "ess_bulk", "r_hat")):
    head = "".join(f"<th>{column}</th>" for column in ("", *columns))
    body = "".join(
        f"<tr><th>{label}</th>{''.join(f'<td>{value}</td>' for value in values)}</tr>"
        for label, *values in rows
    )
    html = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return new_output("execute_result", {"text/html": html, "text/plain": "..."})


RECORD = {"runs": 16, "mean": [2.40], "sd": [0.02]}


# --- Single comparisons -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "fresh", "tags", "record"),
    [
        ("rate 2.40", "rate 2.40", [], None),
        ("rate 2.40", "rate 2.55", ["mcmc"], RECORD),
        ("rate 2.40", "rate 2.4", ["mcmc"], RECORD),
        (
            "rate 0.17",
            "rate 0.16",
            ["mcmc"],
            {"runs": 16, "mean": [0.17], "sd": [0.0]},
        ),
        ("7 of 71", "7 of 71", ["mcmc"], {"runs": 16, "mean": [7, 71], "sd": [1.2, 0]}),
    ],
)
def test_passes(stored, fresh, tags, record):
    assert output_check.compare([stream(stored)], [stream(fresh)], tags, record) == []


@pytest.mark.parametrize(
    ("stored", "fresh", "tags", "record", "message"),
    [
        ("rate 2.40", "rate 2.41", [], None, "stored 2.40, fresh 2.41"),
        (
            "rate 2.40",
            "rate 2.41",
            [],
            None,
            "allowed difference 0 (a deterministic cell)",
        ),
        ("rate 2.40", "rate 2.4", [], None, "stored 2.40, fresh 2.4"),
        ("rate 2.40", "rate  2.40", [], None, "the layout differs"),
        (
            "rate 2.40",
            "odds 2.40",
            ["mcmc"],
            RECORD,
            "text differs: stored line 1: 'rate 2.40'",
        ),
        (
            "rate 2.40",
            "rate 2.80",
            ["mcmc"],
            RECORD,
            "stored 2.40, fresh 2.80, difference 0.4",
        ),
        ("rate 2.90", "rate 2.40", ["mcmc"], RECORD, "the stored value is off"),
        ("rate 2.40", "rate nan", ["mcmc"], RECORD, "text differs"),
        ("rate 2.40", "rate 2.40", ["mcmc"], None, "without its recorded seeds"),
        (
            "71 rates",
            "70 rates",
            ["mcmc"],
            {"runs": 16, "mean": [71], "sd": [0]},
            "the same in all",
        ),
        ("a\nb", "a", [], None, "text differs: stored line 2: 'b'; fresh nothing"),
    ],
)
def test_fails(stored, fresh, tags, record, message):
    problems = output_check.compare([stream(stored)], [stream(fresh)], tags, record)
    assert any(message in problem for problem in problems), problems


def test_tables_name_row_and_column_and_hold_ess_and_r_hat_to_their_bounds():
    record = {"runs": 16, "mean": [2.4, 1800, 1.0], "sd": [0.02, 150, 0.0]}
    stored = table([("alpha", "2.40", "1700", "1.00")])
    fine = table([("alpha", "2.41", "700", "1.01")])
    poor = table([("alpha", "3.41", "399", "1.02")])
    assert output_check.compare([stored], [fine], ["mcmc"], record) == []
    assert output_check.compare([stored], [poor], ["mcmc"], record) == [
        "row alpha, column mean: stored 2.40, fresh 3.41, difference 1.01, allowed difference "
        "0.2055 (16 recorded runs: mean 2.4, Monte Carlo sd 0.02)",
        "row alpha, column ess_bulk: fresh 399, required at least 400",
        "row alpha, column r_hat: fresh 1.02, required at most 1.01",
    ]


def test_progress_and_sampler_log_go_but_warnings_stay():
    outputs = [
        stream(
            "NUTS[numpyro]: [x, z, theta]\n\r  0%|   | 0/2000 [00:00<?]\x1b[A\n",
            "stderr",
        ),
        new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}}),
        new_output("display_data", {"text/plain": ""}),
        new_output("display_data", {"text/html": output_check.RICH + '">50 %</pre>'}),
        stream("a"),
        stream("b"),
    ]
    kept, warnings = output_check.clean(outputs)
    assert (len(kept), kept[0]["text"], warnings) == (1, "ab", "")
    problems = output_check.compare(
        [], [stream("RuntimeWarning: overflow\n", "stderr")]
    )
    assert problems == [
        "the cell now warns: 'RuntimeWarning: overflow'; remove the cause of the warning"
    ]


def test_false_alarms_are_as_rare_as_promised(monkeypatch):
    """With a rule for one false alarm in a thousand, one normal statistic in a thousand alarms."""
    monkeypatch.setattr(output_check, "FALSE_ALARM", 1e-3)
    runs = np.random.default_rng(1).normal(size=(17, 200_000))
    recorded, new = runs[:16], runs[16]
    allowed = output_check.allowed_difference(0, recorded.std(axis=0, ddof=1), 16)
    alarms = np.mean(np.abs(new - recorded.mean(axis=0)) > allowed)
    assert alarms == pytest.approx(1e-3, rel=0.25)


# --- Whole lessons ----------------------------------------------------------------------------


def test_ten_other_seeds_raise_no_false_alarm(capsys):
    alarms = execute.check(TEMPLATE, 10)
    assert alarms == 0, capsys.readouterr().out


@pytest.fixture
def book(tmp_path):
    """A copy of what a lesson needs, to be spoilt."""
    for folder in ["tools", "data", "day2_multilevel"]:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for file in ["conftest.py", "pyproject.toml", "book.mplstyle"]:
        shutil.copy(ROOT / file, tmp_path)
    return tmp_path


def run_lesson(book, spoil=None):
    """Run the copied lesson through nbval, after `spoil(cells by id)`; returns what pytest says."""
    notebook = nbformat.read(book / LESSON, as_version=4)
    if spoil:
        spoil({cell.id: cell for cell in notebook.cells})
        nbformat.write(notebook, book / LESSON)
    alone = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    command = [sys.executable, "-m", "pytest", "--color=no", "--numprocesses=0", LESSON]
    run = subprocess.run(
        command, cwd=book, env=alone, capture_output=True, text=True, check=False
    )
    return run.returncode, run.stdout


def retype(cell, old, new):
    """Change what a cell's stored outputs print, in all their forms."""
    before = json.dumps(cell.outputs, ensure_ascii=False)
    assert old in before, f"{cell.id} does not print {old}"
    cell.outputs = [nbformat.from_dict(o) for o in json.loads(before.replace(old, new))]


def drop_last_row(cell):
    data = cell.outputs[0]["data"]
    html = data["text/html"]
    data["text/html"] = (
        html[: html.rindex("<tr>")] + html[html.rindex("</tr>") + len("</tr>") :]
    )


def test_spoilt_outputs_are_caught(book):
    def spoil(cells):
        retype(cells["grid-numbers"], "14.320", "14.321")
        drop_last_row(cells["shrunken"])
        cells["agree"].outputs = []
        cells["three-models"].outputs, cells["three-models"].execution_count = [], None
        error = new_output("error", ename="ValueError", evalue="no", traceback=[])
        cells["new-experiment"].outputs = [error]
        retype(cells["ppc-table"], "0.680", "0.870")

    status, said = run_lesson(book, spoil)
    assert status == 1
    assert "6 failed" in said, said
    for message in [
        "(id grid-numbers): row β, column mean: stored 14.321, fresh 14.320, "
        "difference 0.001, allowed difference 0 (a deterministic cell)",
        "(id shrunken): text differs: stored nothing; fresh row 71, column index: '71'",
        "(id agree): the stored output is empty, the fresh one is not",
        "(id three-models): was never executed; run `make execute`",
        "(id new-experiment): the stored output is an error",
    ]:
        assert message in said, said
    # The fresh value of an MCMC cell differs a little from one machine to the next.
    assert re.search(
        r"\(id ppc-table\): row beta-binomial, Pr\(≥ data\), column sd: stored 0\.870, "
        r"fresh 0\.6\d+, difference 0\.\d+, allowed difference 0\.0\d+",
        said,
    ), said


def test_a_changed_prior_is_caught(book):
    def spoil(cells):
        model = cells["pymc-model"]
        assert "- 2.5 * log_size" in model.source
        model.source = model.source.replace("- 2.5 * log_size", "- 1.5 * log_size")

    status, said = run_lesson(book, spoil)
    assert status == 1
    caught = re.findall(
        r"\(id pymc-diagnose\): row (\S+), column mean: stored \S+, fresh ", said
    )
    assert caught, said


def test_a_changed_datum_is_caught(book):
    data = book / "data" / "rat_tumours.csv"
    text = data.read_text(encoding="utf-8")
    assert text.endswith("71,current,4,14\n")
    data.write_text(
        text.replace("71,current,4,14", "71,current,5,14"), encoding="utf-8"
    )
    status, said = run_lesson(book)
    assert status == 1
    for message in ["(id grid-numbers): row β, column mean: stored 14.320, fresh "]:
        assert message in said, said
