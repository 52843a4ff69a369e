"""Each rule of test_structure.py can fail: the template, broken on purpose, is caught."""

import base64
from copy import deepcopy
from dataclasses import dataclass
from functools import cache

import nbformat
import pytest
from lessons import ROOT, TEMPLATE, Lesson, agrees, numbers, prose
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from test_structure import RULES, breaches, listed_pages


@dataclass
class Broken:
    """One way to break the template: the rule that must see it, and words of its message."""

    rule: str
    message: str
    change: object

    def __str__(self):
        return f"{self.rule}-{self.message}"


def replace(cell_id, old, new):
    """Replace a piece of a cell's source."""

    def change(notebook):
        cell = cell_of(notebook, cell_id)
        assert old in cell.source, (
            f"the template's cell {cell_id} no longer holds {old!r}"
        )
        cell.source = cell.source.replace(old, new)

    return change


def append(cell_id, text):
    """Add a line at the end of a cell's source."""

    def change(notebook):
        cell_of(notebook, cell_id).source += f"\n{text}"

    return change


def attribute(cell_id, **values):
    """Set attributes of a cell, such as its outputs."""

    def change(notebook):
        cell_of(notebook, cell_id).update(deepcopy(values))

    return change


def metadata(cell_id, **values):
    """Set metadata of a cell."""

    def change(notebook):
        cell_of(notebook, cell_id).metadata.update(nbformat.from_dict(values))

    return change


def drop(*cell_ids):
    """Remove cells."""

    def change(notebook):
        notebook.cells = [cell for cell in notebook.cells if cell.id not in cell_ids]

    return change


def prints(cell_id, text, name="stdout"):
    """Add a stream output to a cell."""

    def change(notebook):
        cell_of(notebook, cell_id).outputs.append(
            new_output("stream", name=name, text=text)
        )

    return change


def shows(cell_id, kind, content):
    """Add a display output to a cell."""

    def change(notebook):
        output = new_output("display_data", data={kind: content})
        cell_of(notebook, cell_id).outputs.append(output)

    return change


def fails(notebook):
    """Add an error output."""
    error = new_output("error", ename="ValueError", evalue="no", traceback=["no"])
    cell_of(notebook, "prior").outputs.append(error)


def no_figure_metadata(notebook):
    """Remove caption, name and alt text of a figure."""
    del cell_of(notebook, "plot-data").metadata["mystnb"]


def two_figures(notebook):
    """Show the same figure twice in one cell."""
    cell_of(notebook, "plot-data").outputs *= 2


def many_cells(notebook):
    """Add 30 cells."""
    notebook.cells[5:5] = [new_markdown_cell("More.") for _ in range(30)]


def same_ids(notebook):
    """Give two cells one id."""
    notebook.cells[4].id = notebook.cells[5].id


def format_44(notebook):
    notebook.nbformat_minor = 4


def other_kernel(notebook):
    notebook.metadata.kernelspec.display_name = "bmm"


def second_import(notebook):
    """Import in a later cell."""
    notebook.cells.insert(
        9, new_code_cell("import json\n\njson.dumps({})", execution_count=1)
    )


def false_agreement(notebook):
    """Say that all numbers agree above an output that denies it."""
    append("check", "All agree.")(notebook)
    prints("check-published", "within False")(notebook)


def swap_check_and_exercises(notebook):
    cells = notebook.cells
    check, exercises = cell_of(notebook, "check"), cell_of(notebook, "exercises")
    i, j = cells.index(check), cells.index(exercises)
    cells[i], cells[j] = exercises, check


def figure(**changes):
    """Change caption, name or alt text of a figure."""

    def change(notebook):
        mystnb = cell_of(notebook, "plot-data").metadata.mystnb
        for key, value in changes.items():
            (mystnb.image if key == "alt" else mystnb.figure)[key] = value

    return change


def cell_of(notebook, cell_id):
    """The cell with this id."""
    return next(cell for cell in notebook.cells if cell.id == cell_id)


FIT = "idata = pm.sample(chains=4, random_seed=SEED)"
NOISE = base64.b64encode(bytes(400_000)).decode()
WIDE = f"<table><tr>{'<th>x</th>' * 13}</tr></table>"
BIG = "word " * 5000

CASES = [
    Broken(
        "is_a_valid_notebook",
        "not a valid notebook",
        attribute("prior", outputs=["no"]),
    ),
    Broken("is_a_valid_notebook", "format 4.5", format_44),
    Broken("is_a_valid_notebook", "an id of its own", same_ids),
    Broken("notebook_metadata_are_the_same_everywhere", "kernelspec", other_kernel),
    Broken(
        "cells_hold_only_known_metadata", "execution", metadata("prior", execution={})
    ),
    Broken("cells_hold_only_known_metadata", "skip", metadata("prior", tags=["skip"])),
    Broken(
        "cells_hold_only_known_metadata", "Markdown", metadata("data", tags=["mcmc"])
    ),
    Broken(
        "cells_hold_only_known_metadata",
        "attachments",
        attribute("data", cell_type="raw"),
    ),
    Broken("sizes_are_within_limits", "3,000,000", prints("prior", BIG * 130)),
    Broken(
        "sizes_are_within_limits", "300,000", shows("plot-data", "image/png", NOISE)
    ),
    Broken("sizes_are_within_limits", "20,000", prints("prior", BIG)),
    Broken("opens_with_title_and_question", "# Title", replace("title", "it?", "it.")),
    Broken("opens_with_title_and_question", "# Title", replace("title", "# ", "## ")),
    Broken(
        "opens_with_title_and_question",
        "one sentence",
        replace("title", "How", "So. How"),
    ),
    Broken(
        "second_cell_is_the_objectives_box",
        "box",
        replace("objectives", "objectives", "x"),
    ),
    Broken(
        "second_cell_is_the_objectives_box",
        "3 to 5",
        replace("objectives", "\n- fit", "\nfit"),
    ),
    Broken(
        "second_cell_is_the_objectives_box",
        "verb",
        replace("objectives", "fit", "know"),
    ),
    Broken(
        "second_cell_is_the_objectives_box",
        "Teaching",
        replace("objectives", "20 min", ""),
    ),
    Broken(
        "second_cell_is_the_objectives_box",
        "15 to 60",
        replace("objectives", "20", "90"),
    ),
    Broken("has_a_sensible_length", "cells before `## Check`", many_cells),
    Broken("headings_are_in_order", "skips", replace("model", "## ", "#### ")),
    Broken("headings_are_in_order", "only the title", replace("model", "## ", "# ")),
    Broken("headings_are_in_order", "inside", append("think-solution", "\n## More")),
    Broken("closes_with_the_fixed_sections", "end with", swap_check_and_exercises),
    Broken("closes_with_the_fixed_sections", "end with", drop("further-reading")),
    Broken(
        "has_predict_first_and_misreading_boxes",
        "Predict first",
        replace("predict", "first", "1"),
    ),
    Broken(
        "has_predict_first_and_misreading_boxes", "misreading", drop("posterior-says")
    ),
    Broken(
        "has_predict_first_and_misreading_boxes",
        ":class: predict",
        replace("predict", ":class: predict", ":class: tip"),
    ),
    Broken(
        "boxes_and_directives_are_closed",
        "never closed",
        append("predict", ":::{note}"),
    ),
    Broken(
        "boxes_and_directives_are_closed", "closes nothing", append("predict", ":::")
    ),
    Broken(
        "check_compares_with_published_numbers",
        "published.csv",
        replace("check-published", "published.csv", "rat_tumours.csv"),
    ),
    Broken(
        "check_compares_with_published_numbers",
        "beside ours",
        attribute("check-published", outputs=[]),
    ),
    Broken(
        "check_compares_with_published_numbers",
        "a comparison is False",
        false_agreement,
    ),
    Broken(
        "exercises_have_labels_and_solutions",
        "3 to 5",
        drop("exercise-data", "data-start", "data-solution", "data-end"),
    ),
    Broken(
        "exercises_have_labels_and_solutions",
        ":label:",
        replace("exercise-code", ":label: ex-topic-code\n", ""),
    ),
    Broken(
        "exercises_have_labels_and_solutions",
        "solution-start",
        drop("code-start", "code-solution", "code-end"),
    ),
    Broken(
        "exercises_have_labels_and_solutions",
        "under `## Exercises`",
        append("check", "```{exercise}\n:label: ex-early\nTry.\n```"),
    ),
    Broken(
        "exercises_have_labels_and_solutions",
        "no exercise has",
        replace("code-start", "ex-topic-code", "ex-other"),
    ),
    Broken(
        "exercises_have_labels_and_solutions",
        "dropdown",
        replace("code-start", ":class: dropdown\n", ""),
    ),
    Broken("solutions_are_gated_and_run", "in turn", drop("think-end")),
    Broken("solutions_are_gated_and_run", "is empty", drop("think-solution")),
    Broken("solutions_are_gated_and_run", "was run", drop("code-solution")),
    Broken(
        "ends_with_take_away_and_reading",
        "3 to 5",
        append("take-away", "\nOne. Two. Three. Four."),
    ),
    Broken(
        "ends_with_take_away_and_reading",
        "cite",
        replace("further-reading", "{cite:t}`gelman2014bda`", "A book"),
    ),
    Broken("has_no_notes_left_for_the_author", "open", append("model", "TODO: more")),
    Broken(
        "first_code_cell_is_the_set_up", "does not belong", append("set-up", "x = 1")
    ),
    Broken(
        "first_code_cell_is_the_set_up",
        "order",
        replace("set-up", "SEED = 20261123", ""),
    ),
    Broken(
        "first_code_cell_is_the_set_up",
        "order",
        replace("set-up", 'plt.style.use("../book.mplstyle")', ""),
    ),
    Broken("imports_stand_only_in_the_set_up", "set-up cell", second_import),
    Broken("cells_are_short", "split the cell", append("prior", "mean\n" * 20)),
    Broken(
        "passes_ruff_check",
        "unused",
        replace("set-up", "import arviz", "import os\nimport arviz"),
    ),
    Broken("passes_ruff_check", "F821", append("prior", "nobody_made_this")),
    Broken("passes_ruff_format", "ruff format", append("prior", "x = {'a':1}")),
    Broken(
        "code_avoids_what_surprises", "magics", append("prior", "%matplotlib inline")
    ),
    Broken("code_avoids_what_surprises", "magics", append("prior", "!pip install x")),
    Broken(
        "code_avoids_what_surprises",
        "mend",
        append("prior", 'warnings.filterwarnings("ignore")'),
    ),
    Broken(
        "code_avoids_what_surprises",
        "default_rng",
        append("prior", "np.random.seed(1)"),
    ),
    Broken(
        "code_avoids_what_surprises",
        "global state",
        append("prior", 'os.environ["A"] = "1"'),
    ),
    Broken(
        "code_avoids_what_surprises",
        "mplstyle",
        append("prior", 'plt.rcParams["x"] = 1'),
    ),
    Broken(
        "code_avoids_what_surprises",
        "../data",
        append("prior", 'pd.read_csv("https://x.org/x")'),
    ),
    Broken(
        "code_avoids_what_surprises", "../data", append("prior", 'bmb.load_data("x")')
    ),
    Broken(
        "code_avoids_what_surprises", "semicolon", append("prior", "plt.plot([1]);")
    ),
    Broken(
        "data_are_read_from_the_data_folder",
        "literal name",
        replace("read-data", "rat_tumours", "no_such_file"),
    ),
    Broken(
        "data_are_read_from_the_data_folder",
        "literal name",
        append("prior", "pd.read_csv(f)"),
    ),
    Broken(
        "data_are_read_from_the_data_folder",
        "real data",
        lambda notebook: drop("read-data", "check-published")(notebook),
    ),
    Broken(
        "every_draw_is_seeded", "pm.sample()", replace("fit", ", random_seed=SEED", "")
    ),
    Broken("every_draw_is_seeded", "pm.sample()", replace("fit", "=SEED", "=1")),
    Broken(
        "every_draw_is_seeded",
        "sample_posterior_predictive",
        replace("predictive-check", ", random_seed=SEED", ""),
    ),
    Broken(
        "every_draw_is_seeded",
        "default_rng",
        append("prior", "np.random.default_rng()"),
    ),
    Broken("every_draw_is_seeded", "rvs", append("prior", "stats.norm.rvs(size=3)")),
    Broken(
        "every_draw_is_seeded",
        "predict",
        append("prior", 'model.predict(idata, kind="response")'),
    ),
    Broken(
        "every_draw_is_seeded",
        "model.fit",
        append("prior", 'model = bmb.Model("y ~ x", data)\nfit = model.fit(chains=4)'),
    ),
    Broken("every_fit_states_its_chains", "chains=4", replace("fit", "chains=4, ", "")),
    Broken("every_fit_is_diagnosed", "idata", drop("diagnose")),
    Broken("every_fit_is_diagnosed", "set again", append("fit", FIT)),
    Broken("every_fit_is_diagnosed", "idata", append("data-solution", FIT)),
    Broken(
        "every_fit_is_diagnosed",
        "name the fit",
        append("prior", FIT.removeprefix("idata = ")),
    ),
    Broken(
        "every_fit_is_diagnosed",
        "fits",
        append(
            "prior", f"def fit(prior):\n    {FIT}\n    return idata\nfits = [fit(1)]"
        ),
    ),
    Broken("diagnoses_are_clean", "mend the fit", attribute("diagnose", outputs=[])),
    Broken(
        "diagnoses_are_clean",
        "mend the fit",
        prints("diagnose", "\nR-hat\nThe following"),
    ),
    Broken(
        "was_run_from_top_to_bottom",
        "from the top",
        attribute("fit", execution_count=99),
    ),
    Broken(
        "was_run_from_top_to_bottom",
        "from the top",
        attribute("fit", execution_count=None),
    ),
    Broken("was_run_from_top_to_bottom", "empty", attribute("fit", source=" ")),
    Broken("outputs_hold_no_errors_or_logs", "ValueError", fails),
    Broken(
        "outputs_hold_no_errors_or_logs", "stderr", prints("fit", "log", name="stderr")
    ),
    Broken(
        "outputs_hold_no_errors_or_logs",
        "widget",
        shows("fit", "application/vnd.jupyter.widget-view+json", {"model_id": "1"}),
    ),
    Broken(
        "outputs_hold_no_debris",
        "log",
        prints("fit", "100%|███| 2000/2000, 495.08it/s"),
    ),
    Broken("outputs_hold_no_debris", "a time", prints("fit", "2026-11-23 03:12:25")),
    Broken(
        "outputs_hold_no_debris", "memory", prints("fit", "<object at 0x7f3e9aca8d60>")
    ),
    Broken(
        "outputs_hold_no_debris",
        "DataTree",
        shows("fit", "text/html", '<div class="xr-wrap">'),
    ),
    Broken(
        "outputs_hold_no_debris",
        "plotting",
        shows("fit", "text/plain", "<Axes: xlabel='x'>"),
    ),
    Broken(
        "there_are_no_absolute_paths", "/home/", prints("prior", "see /home/me/file")
    ),
    Broken("there_are_no_absolute_paths", "/tmp/", append("prior", 'open("/tmp/x")')),
    Broken("there_are_no_absolute_paths", "Users", append("model", r"`C:\Users\me`")),
    Broken("tables_fit_a_page", "12", shows("prior", "text/html", WIDE)),
    Broken(
        "mcmc_tag_is_what_was_measured", "not what was", metadata("posterior", tags=[])
    ),
    Broken(
        "mcmc_tag_is_what_was_measured",
        "not what was",
        metadata("prior", tags=["mcmc"]),
    ),
    Broken(
        "mcmc_tag_is_what_was_measured",
        "cells that are gone",
        attribute("posterior", id="renamed"),
    ),
    Broken("check_is_not_switched_off", "nbval", append("prior", "# NBVAL_SKIP")),
    Broken(
        "check_is_not_switched_off",
        "nbval",
        metadata("prior", tags=["nbval-ignore-output"]),
    ),
    Broken("figures_have_caption_name_and_alt_text", "caption", no_figure_metadata),
    Broken(
        "figures_have_caption_name_and_alt_text", "sentence", figure(caption="Rats")
    ),
    Broken("figures_have_caption_name_and_alt_text", "fig-", figure(name="rats")),
    Broken(
        "figures_have_caption_name_and_alt_text", "alt text", figure(alt="Histogram")
    ),
    Broken(
        "figures_have_caption_name_and_alt_text",
        "shows no figure",
        metadata("prior", mystnb={}),
    ),
    Broken(
        "figures_are_png_and_one_to_a_cell",
        "PNG",
        shows("prior", "image/svg+xml", "<svg/>"),
    ),
    Broken("figures_are_png_and_one_to_a_cell", "one figure", two_figures),
    Broken(
        "figures_are_referred_to",
        "say in the text",
        replace("prior-predictive", "{numref}", "{ref}"),
    ),
    Broken("labels_are_unique", "is taken", figure(name="fig-topic-prior")),
    Broken("labels_are_unique", "is taken", append("model", "\n(ex-topic-code)=")),
    Broken(
        "citations_are_in_the_bibliography",
        "nobody1900",
        append("data", "{cite:p}`nobody1900`"),
    ),
    Broken(
        "terms_are_in_the_glossary",
        "no such term",
        append("data", "{term}`no such term`"),
    ),
    Broken(
        "terms_are_in_the_glossary",
        "no such term",
        append("data", "{term}`x <no such term>`"),
    ),
    Broken(
        "cross_references_resolve", "no-label", append("data", "{ref}`x <no-label>`")
    ),
    Broken(
        "cross_references_resolve", "no-label", append("data", "{numref}`no-label`")
    ),
    Broken(
        "cross_references_resolve", "no page", append("data", "{doc}`../guide/no-page`")
    ),
    Broken(
        "links_lead_somewhere", "nowhere", append("data", "[x](../guide/no-page.md)")
    ),
    Broken("links_lead_somewhere", "nowhere", append("data", "[x](#no-label)")),
    Broken(
        "says_nothing_is_significant",
        "significantly",
        append("data", "It is significantly so."),
    ),
    Broken(
        "says_nothing_is_significant",
        "Significance",
        figure(caption="Significance of " * 4),
    ),
    Broken("spelling_is_british", "modeling", append("data", "This is modeling.")),
    Broken("spelling_is_british", "Standardized", append("data", "Standardized data.")),
    Broken("spelling_is_british", "tumor", figure(alt="A tumor rate")),
    Broken(
        "numbers_in_the_text_are_in_an_output_above",
        "0.137",
        replace("predict", "0.136", "0.137"),
    ),
    Broken(
        "numbers_in_the_text_are_in_an_output_above",
        "0.1360",
        append("predict", "It is 0.1360."),
    ),
    Broken(
        "numbers_in_the_text_are_in_an_output_above",
        "0.312",
        append("check", "It is 0.312."),
    ),
    Broken(
        "numbers_in_the_text_are_in_an_output_above",
        "13.7 %",
        append("predict", "It is 13.7 %."),
    ),
    Broken(
        "numbers_in_the_text_are_in_an_output_above",
        "0.777",
        figure(caption="At 0.777."),
    ),
    Broken(
        "numbers_quoted_from_draws_recur", "0.38", append("check", "It is 0.38 here.")
    ),
]


HARMLESS = [
    append("prior", 'reference = smf.ols("y ~ x", data).fit()'),
    append("plot-data", "rng.normal(size=3)"),
    append("prior", 'model = bmb.Model("y ~ x", data)\nmodel.predict(idata)'),
    append(
        "diagnose",
        "fits = {}\nfor prior in priors:\n    with build(prior):\n"
        "        fits[prior] = pm.sample(chains=4, random_seed=SEED)\n"
        "    _ = az.diagnose(fits[prior])",
    ),
    append(
        "diagnose",
        'model = bmb.Model("y ~ x", data)\nfitted = model.fit(chains=4, random_seed=SEED)\n'
        "_ = az.diagnose(fitted)",
    ),
    append(
        "data",
        'They called it "significant". Two significant digits. A coloured centre.',
    ),
    append("data", "See section 5.3, tables 5.1 and 5.2, and PyMC 6.4."),
    append(
        "data",
        "The site is [here](https://example.org), the box $a < 0.777$ or `0.777`.",
    ),
    append("predict", "That is 13.6 % of the rats."),
    append("data", "Half an hour is `12:30:00`, an and/or/var/ path is not a path."),
]


@cache
def template():
    """The template, read once."""
    return nbformat.read(TEMPLATE, as_version=4)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_broken_template_is_caught(case):
    notebook = deepcopy(template())
    (rule,) = [rule for rule in RULES if rule.__name__ == case.rule]
    before = breaches(rule, Lesson(TEMPLATE, deepcopy(notebook)))
    case.change(notebook)
    new = set(breaches(rule, Lesson(TEMPLATE, notebook))) - set(before)
    assert any(case.message in message for message in new), (
        f"not caught; new messages: {new}"
    )


@pytest.mark.parametrize("change", HARMLESS)
def test_harmless_code_and_prose_pass(change):
    """All rules but those of ruff, which rightly miss the names that these lines take as given."""
    notebook = deepcopy(template())
    change(notebook)
    for rule in RULES:
        if rule.__name__ not in ("passes_ruff_check", "passes_ruff_format"):
            before = breaches(rule, Lesson(TEMPLATE, deepcopy(template())))
            assert set(breaches(rule, Lesson(TEMPLATE, notebook))) <= set(before)


def test_every_rule_is_proven_able_to_fail():
    assert {rule.__name__ for rule in RULES} == {case.rule for case in CASES}


def test_notes_for_the_author_are_caught_in_a_copy():
    (rule,) = [
        rule for rule in RULES if rule.__name__ == "has_no_notes_left_for_the_author"
    ]
    copy = Lesson(ROOT / "day9_copy/01_copy.ipynb", template())
    assert any("template's note" in message for message in breaches(rule, copy))


@pytest.mark.parametrize(
    ("claim", "source", "expected"),
    [
        ("0.22", "0.2235", True),
        ("0.224", "0.2235", True),
        ("0.223", "0.2235", True),
        ("0.225", "0.2235", False),
        ("0.2235", "0.22", False),
        ("0.50", "0.5", False),
        ("2.0", "2.0", True),
        ("0.1", "1e-1", True),
    ],
)
def test_rounding(claim, source, expected):
    assert agrees(claim, source) is expected


def test_numbers_are_told_from_names_and_versions():
    found = numbers("mean 0.22 [0.1, 0.10, 5.] eti89_lb 1,739.5 6.4.0 x2 3e-05 -1.75")
    assert found == {"0.22", "0.1", "0.10", "5", "1739.5", "3e-05", "1.75"}


def test_prose_leaves_out_code_formulas_and_markup():
    text = prose(
        "Seen `0.1` and $0.2$, {term}`prior <x 0.3>`, [a link](../0.4.md)\n"
        ":::{note} Title\n:class: x0.5\nbody\n:::\n"
        "```python\n0.6\n```\n$$\n0.7\n$$\n{cite:p}`a0.8`"
    )
    assert not numbers(text)
    assert all(word in text for word in ("Seen", "prior", "a link", "Title", "body"))


def test_contents_are_read_at_every_depth():
    table = {
        "root": "index",
        "parts": [{"chapters": [{"file": "a", "sections": [{"file": "b"}]}]}],
    }
    assert listed_pages(table) == ["index", "a", "b"]
