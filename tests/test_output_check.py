"""The output check proved on itself: what must pass passes, what must fail fails and says why."""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import execute
import images
import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import output_check
import probe
import pymc as pm
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "template" / "NN_topic.ipynb"


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def html(text, **other):
    data = {"text/html": text, "text/plain": "..."} | other
    return new_output("execute_result", data)


def table(rows, columns=("mean", "ess_bulk", "r_hat"), caption=""):
    head = "".join(f"<th>{column}</th>" for column in ("", *columns))
    body = "".join(
        f"<tr><th>{label}</th>{''.join(f'<td>{value}</td>' for value in values)}</tr>"
        for label, *values in rows
    )
    caption = f"<caption>{caption}</caption>" if caption else ""
    return html(
        f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def moves(*mean_and_sd, where="line 1"):
    """The record of a cell in which the numbers of one line moved; None for one that did not."""
    return {"spread": {where: [list(m) if m else None for m in mean_and_sd]}}


def messages(stored, fresh, **settings):
    """What the check says of two outputs, or of two printed texts."""
    stored, fresh = ([stream(o)] if isinstance(o, str) else o for o in (stored, fresh))
    found = output_check.compare(stored, fresh, **({"runs": 16} | settings))
    return [str(problem) for problem in found]


# --- Numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "fresh", "record"),
    [
        ("rate 2.40", "rate 2.40", None),
        ("rate 2.40", "rate 2.48", moves((2.4, 0.02))),
        ("rate 2.40", "rate 2.4", moves((2.4, 0.02))),
        ("7 of 71", "8 of 71", moves((7, 1.2), None)),
        ("value -12345.678", "value -12345.678", moves((-12345.7, 0.0001))),
        ("1,998 draws", "2,003 draws", moves((2000, 4))),
        ("5.4 %", "5 %", moves((5.4, 0.1))),
    ],
)
def test_passes(stored, fresh, record):
    assert messages(stored, fresh, record=record) == []


@pytest.mark.parametrize(
    ("stored", "fresh", "record", "message"),
    [
        ("rate 2.40", "rate 2.41", None, "stored 2.40, fresh 2.41"),
        ("rate 2.40", "rate 2.41", None, "allowed difference 0 (the same in all 16"),
        ("rate 2.40", "rate 2.4", None, "stored 2.40, fresh 2.4"),
        ("rate 2.40", "rate  2.40", None, "the layout differs"),
        ("rate 2.40", "odds 2.40", moves((2.4, 0.02)), "line 1: 'rate 2.40'"),
        ("rate 2.40", "rate 2.80", moves((2.4, 0.02)), "stored 2.40, fresh 2.80"),
        ("rate 2.90", "rate 2.40", moves((2.4, 0.02)), "the stored value is off"),
        ("a\nb", "a", None, "text differs: stored line 2: 'b'; fresh nothing"),
        # A published number beside one from draws.
        ("2.40 and 1.4", "2.41 and 1.5", moves((2.4, 0.02), None), "fresh 1.5"),
        ("2.40, 71 rats", "2.40, 70 rats", moves((2.4, 0.02), None), "fresh 70"),
        # Lost digits.
        ("rate 0.54", "rate 1", moves((0.54, 0.1)), "more than one digit was lost"),
        ("rate 5.4", "rate 1e1", moves((5.4, 0.1)), "more than one digit was lost"),
        ("1,998 draws", "2,498 draws", moves((2000, 4)), "stored 1,998, fresh 2,498"),
        ("rate 2.40", "rate nan", moves((2.4, 0.02)), "text differs"),
    ],
)
def test_fails(stored, fresh, record, message):
    found = messages(stored, fresh, record=record)
    assert any(message in problem for problem in found), found


def test_tables_name_row_and_column_and_hold_ess_and_r_hat_to_their_bounds():
    record = moves((2.4, 0.02), where="row alpha, column mean")
    stored = table([("alpha", "2.40", "1700", "1.00")])
    fine = table([("alpha", "2.41", "700", "1.01")])
    poor = table([("alpha", "3.41", "399", "1.02")])
    assert messages([stored], [fine], record=record) == []
    assert messages([stored], [poor], record=record) == [
        "row alpha, column mean: stored 2.40, fresh 3.41, difference 1.01, allowed difference "
        "0.1213 (16 recorded runs: mean 2.4, Monte Carlo sd 0.02)",
        "row alpha, column ess_bulk: fresh 399, required at least 400",
        "row alpha, column r_hat: fresh 1.02, required at most 1.01",
    ]


def test_text_around_tables_is_compared():
    rows = [("alpha", "2.40", "1700", "1.00")]
    record = moves((2.4, 0.02), where="row alpha, column mean")
    stored, fresh = table(rows, caption="71 rats"), table(rows, caption="17 cats")
    assert "'71 rats'" in messages([stored], [fresh], record=record)[0]
    stored, fresh = html("<p>N = 71 rats</p>"), html("<p>N = 17 rats</p>")
    assert "stored 71, fresh 17" in messages([stored], [fresh])[0]


def test_an_image_beside_a_table_counts():
    stored = html("<table></table>", **{"image/png": "abc"})
    assert "text differs" in messages([stored], [html("<table></table>")])[0]


@pytest.mark.parametrize("word", ["nan", "NaN", "inf", "-inf", "None", "<NA>"])
def test_what_is_no_number_fails_unless_the_cell_says_why(word):
    fragment = f"mean {word}"
    assert any("say in the cell why" in each for each in messages(fragment, fragment))
    reason = "# NaN: a total has no mean"
    assert messages(fragment, fragment, source=f"x = 1\n{reason}\n") == []


# --- Outputs ----------------------------------------------------------------------------------


def test_the_order_of_outputs_is_kept():
    before, after, middle = stream("a\n"), stream("b\n"), html("<p>c</p>")
    kept, _, _ = output_check.clean([before, middle, after])
    assert kept == [before, middle, after]
    assert (
        "text differs" in messages([before, middle, after], [before, after, middle])[0]
    )


def widget(**data):
    return new_output("display_data", data)


RICH = (
    '<pre style="white-space:pre;overflow-x:auto;line-height:normal;font-family:Menlo">'
)


def test_progress_goes_and_rich_tables_stay():
    outputs = [
        widget(**{"application/vnd.jupyter.widget-view+json": {}}),
        widget(**{"text/plain": ""}),
        widget(**{"text/html": f"{RICH}</pre>\n", "text/plain": ""}),
        widget(
            **{"text/html": f"{RICH}Sampling ━━━━━━╸ 50 %</pre>", "text/plain": "x"}
        ),
        widget(
            **{"text/html": f"{RICH} Progress Draw\n Elapsed</pre>", "text/plain": "x"}
        ),
    ]
    assert output_check.clean(outputs) == ([], {}, "")
    rich = widget(**{"text/html": f"{RICH}mu ~ Normal(0, 5)</pre>", "text/plain": "x"})
    other = widget(**{"text/html": f"{RICH}mu ~ Normal(0, 6)</pre>", "text/plain": "x"})
    assert output_check.clean([rich])[0] == [rich]
    assert "stored 5, fresh 6" in messages([rich], [other])[0]


SAMPLERS_SAY = """
Modeling the probability that y==1
NUTS[numpyro]: [x, z, theta]
  0%|          | 0/2000 [00:00<?, ?it/s]
Multiprocess sampling (4 chains in 2 jobs)
CompoundStep
>Metropolis: [k]
>>Metropolis: [b]
>>BinaryGibbsMetropolis: [z]
DEMetropolisZ: [mu]
Population sampling (4 chains)
Initializing SMC sampler...
Sampling 4 chains sequentially
Sampling: [theta, y]
Sampling 4 chains for 900 tune and 900 draw iterations (3_600 + 3_600 draws total) took 3 seconds.
"""


def test_the_samplers_log_is_no_warning_and_a_warning_is():
    assert output_check.clean([stream(SAMPLERS_SAY, "stderr")]) == ([], {}, "")
    for warning in [
        "RuntimeWarning: overflow",
        "Sampling from the prior is not what you want",
        "Finished with 3 divergences",
        "Initializing failed",
        "There were 12 divergences after tuning.",
    ]:
        assert messages([], [stream(warning, "stderr")]) == [
            f"the cell now warns: {warning!r}; remove the cause of the warning"
        ]


@pytest.mark.parametrize("switch", ["# NBVAL_SKIP", "## NBVAL_IGNORE_OUTPUT"])
def test_the_check_cannot_be_switched_off(switch):
    for settings in [{"source": f"x = 1\n{switch}"}, {"tags": ["nbval-skip"]}]:
        assert "cannot be switched off" in messages("1", "1", **settings)[0]


# --- What the probe reports -------------------------------------------------------------------


def shown(draw, **subplots):
    """The report on a figure drawn by `draw(axes)`."""
    with mpl.rc_context({"backend": "agg"}):
        figure, axes = plt.subplots(**subplots)
        draw(axes)
        report = probe.describe_figure(figure)
        plt.close(figure)
    return report


X = np.linspace(1, 5, 50)
BANDS = {"89 %": (X - 1.6, X + 1.6), "95 %": (X - 1.96, X + 1.96)}


def band(axes, level="89 %"):
    axes.fill_between(X, *BANDS[level], label="89 %")
    axes.legend()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        pytest.param(
            lambda axes: axes.semilogx(X, X), lambda axes: axes.plot(X, X), id="scale"
        ),
        pytest.param(band, lambda axes: band(axes, "95 %"), id="95 % labelled 89 %"),
        pytest.param(
            lambda axes: [axes.plot(X, X, label="a"), axes.plot(X, X**2, label="b")],
            lambda axes: [axes.plot(X, X**2, label="a"), axes.plot(X, X, label="b")],
            id="series exchanged",
        ),
        pytest.param(
            lambda axes: axes.axvline(2.0), lambda axes: axes.axvline(2.1), id="line"
        ),
        pytest.param(
            lambda axes: axes.axline((0, 0), slope=1),
            lambda axes: axes.axline((0, 0), slope=1.1),
            id="slope of a line",
        ),
        pytest.param(
            lambda axes: axes.set_title("men", loc="left"),
            lambda axes: axes.set_title("women", loc="left"),
            id="title",
        ),
        pytest.param(
            lambda axes: axes.scatter(X, X**2),
            lambda axes: axes.scatter(X, np.roll(X**2, 1)),
            id="shifted by one group",
        ),
        pytest.param(
            lambda axes: axes.hist(X**2, bins=9),
            lambda axes: axes.hist(X**2, bins=9, density=True),
            id="histogram",
        ),
        pytest.param(
            lambda axes: axes.set(ylabel="ms"),
            lambda axes: axes.set(ylabel="s"),
            id="unit",
        ),
        pytest.param(
            lambda axes: axes.set_yticks([0, 1], ["Boston", "Chicago"]),
            lambda axes: axes.set_yticks([0, 1], ["Chicago", "Boston"]),
            id="tick labels",
        ),
        pytest.param(
            lambda axes: axes.imshow(np.outer(X, X)),
            lambda axes: axes.imshow(np.outer(X, X[::-1])),
            id="image",
        ),
    ],
)
def test_a_wrong_figure_is_caught(right, wrong):
    def figure(draw):
        return new_output("display_data", {"image/png": "abc", probe.MIME: shown(draw)})

    record = {"report": shown(right)}
    assert messages([figure(right)], [figure(right)], record=record) == []
    assert messages([figure(right)], [figure(wrong)], record=record)


def test_numbers_along_an_axis_may_follow_its_limits():
    def figure(low, ticks):
        report = {
            "axes 1, x axis": f"linear, from {low} to 9",
            "axes 1, x axis, ticks": ticks,
        }
        return report, [
            new_output("display_data", {"image/png": "a", probe.MIME: report})
        ]

    report, stored = figure(1.5, "0 | 5 | 10")
    _, fresh = figure(1.6, "5 | 10")
    record = moves((1.5, 0.1), None, where="axes 1, x axis") | {"report": report}
    assert messages(stored, fresh, record=record) == []
    assert messages(stored, fresh, record={"report": report})
    report, stored = figure(1.5, "Boston | Chicago")
    _, fresh = figure(1.6, "Chicago | Boston")
    assert messages(stored, fresh, record=record | {"report": report})


def densities(sd=1.0, order=(0, 1, 2)):
    """The report on a small multilevel model."""
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", sd)
        z = pm.Normal("z", 0, 1, shape=3)
        y = np.array([1.0, 2.0, 4.0])[list(order)]
        pm.Normal("y", tau * z, 1, observed=y)
    return probe.describe_model(model)


def test_a_prior_changed_by_a_tenth_and_exchanged_groups_are_caught():
    def output(report):
        return [widget(**{probe.MIME: report})]

    record = {"report": densities()}
    assert messages([], output(densities()), record=record) == []
    found = messages([], output(densities(sd=1.1)), record=record)
    assert len(found) == 1
    assert found[0].startswith("tau: stored -")
    found = messages([], output(densities(order=(1, 0, 2))), record=record)
    assert len(found) == 1
    assert found[0].startswith("y: stored -")


def test_the_probe_moves_the_samplers_seeds_only_and_reports_fits():
    cells = [
        "import numpy as np\nimport pymc as pm\nimport matplotlib.pyplot as plt",
        "rng = np.random.default_rng(1)\nprint(rng.normal())",
        "with pm.Model() as model:\n    x = pm.Normal('x', 0, 1)\n"
        "    fit = pm.sample(50, tune=50, chains=1, random_seed=1, nuts_sampler='pymc',"
        " progressbar=False, compute_convergence_checks=False)",
        "prior = pm.draw(x, random_seed=2)\nprint(prior, dir() == sorted(dir()))",
        "_ = plt.hist(fit.posterior['x'].values.ravel())\nplt.show()",
        "print([name for name in dir() if 'robe' in name])",
    ]
    runs = []
    for shift in (0, 5):
        notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
        client = execute.ProbedClient(notebook, kernel_name="python3", timeout=120)
        client.shift = shift
        client.execute()
        runs.append([output_check.clean(cell.outputs) for cell in notebook.cells])
    one, other = runs
    assert one[1] == other[1]
    assert one[3] == other[3]
    assert one[5][0][0]["text"] == "[]\n"
    assert one[2][1]["model 1, x"] == other[2][1]["model 1, x"]
    assert re.match(r"sd \S+, mean \S+", one[2][1]["fit 1 of the cell, x"])
    assert one[2][1]["fit 1 of the cell, x"] != other[2][1]["fit 1 of the cell, x"]
    assert one[4][1]["axes 1, patches Rectangle #1f77b4"].startswith("10 with x: n 50")


def test_the_seed_of_nutpie_is_moved_where_a_lesson_imports_it():
    """As lesson 4.10 does; here what samples is replaced by a print."""
    cells = [
        "import nutpie\nnutpie.sample.__globals__['sample'] = lambda seed: print(seed)",
        "nutpie.sample(seed=1)",
    ]
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
    client = execute.ProbedClient(notebook, kernel_name="python3", timeout=120)
    client.shift = 5
    client.execute()
    assert notebook.cells[1].outputs[0]["text"] == "6\n"


# --- The bound --------------------------------------------------------------------------------


def test_an_alarm_counts_if_every_run_raises_it():
    def look(*fresh):
        record = moves((2.4, 0.02), (0.5, 0.01))
        return output_check.compare(
            [stream("2.40 and 0.50")],
            [stream(" and ".join(fresh))],
            record=record,
            runs=16,
        )

    first, same, other = (
        look("2.80", "0.50"),
        look("2.70", "0.50"),
        look("2.40", "0.80"),
    )
    assert output_check.confirmed(first, [same, same]) == first
    assert output_check.confirmed(first, [same, other]) == []
    assert output_check.confirmed(first, [other, lambda: pytest.fail("asked")]) == []
    text = output_check.compare([stream("a")], [stream("b")])
    assert output_check.confirmed(text, [[]]) == text


DIVERGED = (
    "There was 1 divergence after tuning. Increase `target_accept` or reparameterize."
)


def test_a_verdict_on_a_fit_counts_if_every_run_gives_it():
    def look(verdict, *others, tags=("mcmc",)):
        fresh = [stream(f"problems: {verdict}\n2.40"), *others]
        return output_check.compare([stream("problems: False\n2.40")], fresh, tags)

    good, bad = look("False"), look("True", stream(DIVERGED, "stderr"))
    assert good == []
    assert len(bad) == 2, "the verdict, and the warning"
    assert output_check.confirmed(bad, [bad, bad]) == bad
    assert output_check.confirmed(bad, [bad, good]) == []
    without_draws = look("True", stream(DIVERGED, "stderr"), tags=())
    assert output_check.confirmed(without_draws, [good]) == without_draws
    other_warning = look("False", stream("RuntimeWarning: overflow", "stderr"))
    assert output_check.confirmed(other_warning, [good]) == other_warning


def test_nothing_is_recorded_of_a_cell_that_warns_with_any_seed():
    runs = [[stream("2.40")], [stream("2.40"), stream(DIVERGED, "stderr")]]
    assert (
        f"warns; remove the cause:\n{DIVERGED}"
        in execute.spread_of(new_code_cell(""), runs)[1]
    )
    on_purpose = new_code_cell("", metadata={"tags": ["shows-failure"]})
    assert execute.spread_of(on_purpose, runs)[1] == []


def test_false_alarms_are_as_rare_as_promised(monkeypatch):
    """A lower bound, so that alarms can be counted: about those of Student's t, once and twice."""
    monkeypatch.setattr(output_check, "BOUND", 3)
    runs = np.random.default_rng(1).normal(size=(18, 200_000))
    recorded, new = runs[:16], runs[16:]
    allowed = output_check.allowed_difference(0, recorded.std(axis=0, ddof=1), 16)
    alarms = np.abs(new - recorded.mean(axis=0)) > allowed
    assert alarms[0].mean() == pytest.approx(9e-3, rel=0.1)
    assert (alarms[0] & alarms[1]).mean() == pytest.approx(4.7e-4, rel=0.3)


# --- Recording --------------------------------------------------------------------------------


def test_what_moves_is_measured():
    cell = new_code_cell("")
    texts = [f"mean {value:.2f}, published 1.4" for value in [0.51, 0.52, 0.54]]
    spread, problems = execute.spread_of(cell, [[stream(text)] for text in texts])
    expected = [
        statistics.fmean([0.51, 0.52, 0.54]),
        statistics.stdev([0.51, 0.52, 0.54]),
    ]
    assert problems == []
    assert spread["line 1"][0] == pytest.approx(expected, rel=1e-2)
    assert spread["line 1"][1] is None
    words = [[stream("all agree")], [stream("none agrees")]]
    assert "its words change" in execute.spread_of(cell, words)[1][0]


def test_rows_in_another_order_are_no_record():
    def table(*rows):
        lines = [f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows]
        html = f"<table><thead><tr><th></th><th>elpd</th></tr></thead>{''.join(lines)}</table>"
        return [new_output("display_data", {"text/html": html})]

    one = table(("moved", -671.2), ("plain", -670.8))
    other = table(("plain", -670.9), ("moved", -670.1))
    assert execute.spread_of(new_code_cell(""), [one, one])[1] == []
    assert "the order" in execute.spread_of(new_code_cell(""), [one, other])[1][0]


def test_outputs_are_kept_if_all_agree_and_else_all_are_of_one_run(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(execute, "record_file", lambda path: tmp_path / "record.json")

    def stored_after(runs):
        cells = [new_code_cell("", id=name, execution_count=1) for name in "ab"]
        notebook = new_notebook(cells=cells)
        notebook.cells[0].outputs = [stream("mean 2.41")]
        notebook.cells[1].outputs = [stream("7")]
        entries = execute.record(tmp_path / "lesson.ipynb", notebook, runs)
        assert json.loads(execute.record_text(entries)) == entries
        assert notebook.cells[0].metadata["tags"] == ["mcmc"]
        assert "tags" not in notebook.cells[1].metadata
        return [cell.outputs for cell in notebook.cells]

    means = ["mean 2.40", "mean 2.42", "mean 2.38"]
    agrees = [[[stream(mean)], [stream("7")]] for mean in means]
    assert stored_after(agrees) == [[stream("mean 2.41")], [stream("7")]]
    differs = [[[stream(mean)], [stream("8")]] for mean in means]
    assert stored_after(differs) == [[stream("mean 2.40")], [stream("8")]]


def test_a_figure_is_stored_anew_when_its_code_has_changed(monkeypatch, tmp_path):
    monkeypatch.setattr(execute, "record_file", lambda path: tmp_path / "record.json")
    monkeypatch.setattr(execute.images, "smaller", lambda outputs: outputs)

    def drawn(picture):
        return [new_output("display_data", {"image/png": picture})]

    cell = new_code_cell("plt.show()", id="a", execution_count=1, outputs=drawn("old"))
    notebook = new_notebook(cells=[cell])
    path = tmp_path / "lesson.ipynb"
    entries = execute.record(path, notebook, [[drawn("new")]] * 3)
    assert notebook.cells[0].outputs == drawn("old")
    execute.write(tmp_path / "record.json", execute.record_text(entries))
    notebook.cells[0].source = "plt.margins(1)\nplt.show()"
    execute.record(path, notebook, [[drawn("new")]] * 3)
    assert notebook.cells[0].outputs == drawn("new")


def test_a_record_is_made_from_the_own_rows_of_the_published_numbers(tmp_path):
    for folder in ["data", "day9"]:
        (tmp_path / folder).mkdir()
    table = tmp_path / "data" / "published.csv"
    code = 'rows = "../data/published.csv"\nhere = "day9/01_one"'
    notebook = new_notebook(cells=[new_code_cell(code)])

    def fingerprint(*rows):
        table.write_text("\n".join(["lesson,value", *rows, ""]), encoding="utf-8")
        return execute.made_from(tmp_path / "day9" / "01_one.ipynb", notebook)

    first = fingerprint("day9/01_one,1", "day9/02_two,1")
    assert fingerprint("day9/01_one,1", "day9/02_two,2", "day9/03_three,1") == first
    assert fingerprint("day9/01_one,2", "day9/02_two,1") != first


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--check", "0"], "nothing was run"), (["no/such.ipynb"], "There is no lesson")],
)
def test_execute_refuses_what_makes_no_sense(arguments, says):
    before = TEMPLATE.read_bytes()
    command = [sys.executable, ROOT / "tools/execute.py", *arguments]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode != 0
    assert says in run.stderr
    assert TEMPLATE.read_bytes() == before


def test_palette_images_look_the_same():
    figure, axes = plt.subplots()
    axes.plot(X, np.sin(X))
    file = images.io.BytesIO()
    figure.savefig(file, format="png")
    plt.close(figure)
    before = images.base64.b64encode(file.getvalue()).decode()
    after = images.palette(before)
    assert len(after) < len(before)
    assert images.palette(after) == after
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    file = images.io.BytesIO()
    images.Image.fromarray(noise).save(file, "PNG")
    photograph = images.base64.b64encode(file.getvalue()).decode()
    assert images.palette(photograph) == photograph


# --- Whole lessons ----------------------------------------------------------------------------


def test_ten_other_seeds_raise_no_false_alarm(capsys):
    alarms = execute.check(TEMPLATE, 10)
    assert alarms == 0, capsys.readouterr().out


@pytest.fixture
def book(tmp_path):
    """A copy of what the template needs, to be spoilt."""
    for folder in ["tools", "data", "template", "tests/recorded/template"]:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for file in ["conftest.py", "pyproject.toml", "book.mplstyle", "requirements.txt"]:
        shutil.copy(ROOT / file, tmp_path)
    return tmp_path


def run_lesson(book, spoil):
    """Run the copied template through nbval, after `spoil(cells by id)`; what pytest says."""
    path = book / "template" / "NN_topic.ipynb"
    notebook = nbformat.read(path, as_version=4)
    spoil({cell.id: cell for cell in notebook.cells})
    nbformat.write(notebook, path)
    alone = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    command = [sys.executable, "-m", "pytest", "--color=no", "--numprocesses=0", path]
    run = subprocess.run(
        command,
        cwd=book,
        env=alone,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return run.returncode, run.stdout


def retype(cell, old, new):
    """Change what a cell's stored outputs print, in all their forms."""
    before = json.dumps(cell.outputs, ensure_ascii=False)
    assert old in before, f"{cell.id} does not print {old}"
    cell.outputs = [nbformat.from_dict(o) for o in json.loads(before.replace(old, new))]


def test_spoilt_outputs_are_caught(book):
    def spoil(cells):
        retype(cells["groups"], "0.786", "0.787")
        retype(cells["posterior"], "82.17", "92.17")
        retype(cells["read-data"], "high school", "high scholl")
        cells["check-published"].outputs = []
        cells["code-solution"].outputs, cells["code-solution"].execution_count = (
            [],
            None,
        )
        error = new_output("error", ename="ValueError", evalue="no", traceback=[])
        cells["data-solution"].outputs = [error]

    status, said = run_lesson(book, spoil)
    assert status == 1
    assert "6 failed" in said, said
    for message in [
        "(id groups): row high school, column share: stored 0.787, fresh 0.786, "
        "difference 0.001, allowed difference 0",
        "(id posterior): row Intercept, column mean: stored 92.17, fresh 82.",
        "(id read-data): text differs: stored row 0, column mother: 'high scholl'",
        "(id check-published): the stored output is empty, the fresh one is not",
        "was never executed; run `make execute`",
        "(id data-solution): the stored output is an error",
    ]:
        assert message in said, said


def test_changed_code_is_caught(book):
    def spoil(cells):
        def change(cell, old, new):
            assert old in cells[cell].source
            cells[cell].source = cells[cell].source.replace(old, new)

        change("prior", "sigma=15", "sigma=16.5")
        change("plot-data", '"mom_iq"', '"iq_centred"')
        change("plot-lines", "+ 100", "+ 101")
        change("code-solution", "[20]", "[30]")

    status, said = run_lesson(book, spoil)
    assert status == 1
    for message in [
        "(id prior): model 1, mom_hs: stored -",
        "(id plot-data): ",
        "(id plot-lines): axes 1, Fill",
        "(id code-solution): line 2: stored",
    ]:
        assert message in said, said


def test_a_changed_datum_is_caught(book):
    data = book / "data" / "kidiq.csv"
    text = data.read_text(encoding="utf-8")
    assert text.count("\n65,1,121.1") == 1
    data.write_text(text.replace("\n65,1,121.1", "\n66,1,121.1"), encoding="utf-8")
    status, said = run_lesson(book, lambda cells: None)
    assert status == 1
    assert "(id read-data): row 0, column kid_score: stored 65, fresh 66" in said, said
