"""Each rule of test_structure.py can fail: the template, broken on purpose, is caught."""

import base64
import re
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace

import nbformat
import pytest
from lessons import (
    OLD_FORM,
    ROOT,
    TEMPLATE,
    Lesson,
    agrees,
    cited_as,
    numbers,
    prose,
    weigh,
)
from nbformat.v4 import new_code_cell, new_output
from test_structure import (
    NEW_FORM_RULES,
    RULES,
    breaches,
    contents,
    is_reworked,
    old_form_is_kept,
    wrong_with_day,
)

ALL_RULES = [*RULES, *NEW_FORM_RULES]


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


def no_alt_text(notebook):
    """Remove the alt text of a figure."""
    del cell_of(notebook, "plot-data").metadata["mystnb"]


def two_figures(notebook):
    """Show the same figure twice in one cell."""
    cell_of(notebook, "plot-data").outputs *= 2


def add(index, *cells):
    """Put copies of cells into the notebook."""

    def change(notebook):
        notebook.cells[index:index] = deepcopy(list(cells))

    return change


def without_library(notebook):
    """Predict and draw without a library's call."""
    for cell in notebook.cells:
        for call in [".predict(", "interpret.", "az.plot_", "sns."]:
            cell.source = cell.source.replace(call, "by_hand(")


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


def swap(one, other):
    """Exchange two cells."""

    def change(notebook):
        cells = notebook.cells
        i, j = (cells.index(cell_of(notebook, cell_id)) for cell_id in (one, other))
        cells[i], cells[j] = cells[j], cells[i]

    return change


def caption(text):
    """Give a figure another caption."""
    return attribute(
        "plot-data-caption",
        source=f'<a id="fig-topic-data"></a>**Figure N.N.1.** {text}',
    )


def alt_text(text):
    """Give a figure another alt text."""
    return metadata("plot-data", mystnb={"image": {"alt": text}})


def cell_of(notebook, cell_id):
    """The cell with this id."""
    return next(cell for cell in notebook.cells if cell.id == cell_id)


FIT = "fit = model.fit(chains=4, random_seed=SEED)"
FIGURE = new_code_cell(
    "x", outputs=[new_output("display_data", data={"image/png": ""})]
)
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
    Broken(
        "opens_with_title_and_question", "# Title", replace("title", "score?", "score.")
    ),
    Broken("opens_with_title_and_question", "# Title", replace("title", "# ", "## ")),
    Broken(
        "opens_with_title_and_question",
        "one sentence",
        replace("title", "What", "So. What"),
    ),
    Broken(
        "second_cell_is_the_objectives_box",
        "box",
        replace("objectives", "objectives", "x"),
    ),
    Broken(
        "second_cell_is_the_objectives_box",
        "3 to 4",
        replace("objectives", "\n- fit", "\nfit"),
    ),
    Broken(
        "second_cell_is_the_objectives_box",
        "verb",
        replace("objectives", "fit", "know"),
    ),
    Broken(
        "second_cell_is_the_objectives_box",
        "3 to 4",
        replace("objectives", "\n- fit", "\n- draw x\n- draw y\n- fit"),
    ),
    Broken("headings_are_in_order", "skips", replace("model", "## ", "#### ")),
    Broken("headings_are_in_order", "only the title", replace("model", "## ", "# ")),
    Broken("headings_are_in_order", "inside", append("think-solution", "\n## More")),
    Broken("closes_with_the_fixed_sections", "end with", swap("take-away", "deeper")),
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
        ":class: tip predict",
        replace("predict", ":class: tip predict", ":class: predict"),
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
        replace("check-published", "published.csv", "kidiq.csv"),
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
        "cells_hold_only_known_metadata",
        "Collapsed",
        attribute("code-start", metadata={}),
    ),
    Broken(
        "exercises_have_labels_and_solutions",
        "ex-label",
        replace("exercise-code", '<a id="ex-topic-code"></a>', ""),
    ),
    Broken(
        "exercises_have_labels_and_solutions",
        "solution-start",
        drop("code-start", "code-solution", "code-end"),
    ),
    Broken(
        "exercises_have_labels_and_solutions",
        "#### Solution of",
        replace("code-start", "####", "#####"),
    ),
    Broken(
        "exercises_have_labels_and_solutions",
        "under `## Exercises`",
        append("check", '#### <a id="ex-early"></a>Exercise N.N.4.\n\nTry.'),
    ),
    Broken(
        "exercises_have_labels_and_solutions",
        "no exercise has",
        replace("code-start", "ex-topic-code", "ex-other"),
    ),
    Broken("solutions_are_gated_and_run", "in turn", drop("code-end")),
    Broken(
        "solutions_are_gated_and_run",
        "is empty",
        attribute("think-solution", source="<!-- {solution-end} -->"),
    ),
    Broken(
        "solutions_are_gated_and_run",
        "heading of its own",
        replace("think-start", "Solution", "Answer"),
    ),
    Broken(
        "solutions_are_gated_and_run", "begin a new cell", append("code-end", "More.")
    ),
    Broken(
        "solutions_are_gated_and_run",
        "begin a new cell",
        replace("take-away", "## Take-away", "More."),
    ),
    Broken("solutions_are_gated_and_run", "was run", drop("code-solution")),
    Broken(
        "ends_with_take_away_and_reading",
        "3 to 5",
        append("take-away", "\nOne. Two. Three. Four."),
    ),
    Broken(
        "ends_with_take_away_and_reading",
        "cite",
        replace("further-reading", "bibliography.md", "glossary.md"),
    ),
    Broken(
        "states_its_minutes",
        "**Going deeper** 15 min",
        replace("objectives", "**Core**", "**Teaching**"),
    ),
    Broken("states_its_minutes", "**Core** takes", append("model", "word " * 200)),
    Broken("states_its_minutes", "**Going deeper** takes", append("check", BIG)),
    Broken(
        "states_its_minutes",
        "**Exercises** take 15",
        replace("exercise-think", "*10 min.*", "*7 min.*"),
    ),
    Broken("core_is_within_its_budget", "words", append("take-away", "word " * 2200)),
    Broken("core_is_within_its_budget", "lines", append("prior", "x = 1\n" * 180)),
    Broken("core_is_within_its_budget", "cells", add(9, *[new_code_cell("1")] * 24)),
    Broken("core_is_within_its_budget", "figures", add(9, *[FIGURE] * 8)),
    Broken(
        "core_is_within_its_budget",
        "3 ideas",
        append("prior-says", "\n## A fourth idea"),
    ),
    Broken("going_deeper_says_what_it_adds", "part what", drop("deeper")),
    Broken(
        "going_deeper_says_what_it_adds",
        "begin the cell",
        replace("deeper", "Class may", "You may"),
    ),
    Broken(
        "going_deeper_says_what_it_adds",
        "### Least squares",
        replace("deeper", "*For readers who know", "For readers who know"),
    ),
    Broken(
        "going_deeper_says_what_it_adds",
        "### Least squares",
        replace("deeper", "comes.*", "comes. It is close.*"),
    ),
    Broken(
        "going_deeper_says_what_it_adds",
        "with `### Check`",
        append("check-says", "\n### More\n\n*For all: more.*"),
    ),
    Broken(
        "exercises_fit_the_class",
        "2 or 3",
        drop("exercise-think", "think-start", "think-solution", "think-end"),
    ),
    Broken(
        "exercises_fit_the_class",
        "begin the first",
        replace("exercise-code", "In class, 8 min", "8 min"),
    ),
    Broken(
        "exercises_fit_the_class",
        "begin the first",
        replace("exercise-think", "*10 min.*", ""),
    ),
    Broken("exercises_fit_the_class", "skeleton", replace("exercise-code", "...", "1")),
    Broken("exercises_fit_the_class", "was run", drop("code-solution")),
    *[
        Broken("core_handles_draws_by_name", code, append("code-solution", code))
        for code in [
            ".reshape(",
            "[:, None",
            "[None",
            'transpose("sample"',
            "einsum",
        ]
    ],
    Broken("core_uses_the_library", "predict with", without_library),
    Broken("core_uses_the_library", "let ArviZ", without_library),
    Broken(
        "code_that_draws_or_checks_is_hidden",
        "hide-input",
        metadata("plot-lines", tags=["mcmc"]),
    ),
    Broken(
        "code_that_draws_or_checks_is_hidden",
        "hide-input",
        append("prior", "plt.figure()"),
    ),
    Broken(
        "code_that_draws_or_checks_is_hidden",
        "hide-cell",
        metadata("check-published", tags=["hide-input", "mcmc"]),
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
    Broken(
        "first_code_cell_is_the_set_up",
        "alone",
        replace("set-up", "  # needs the course's folder: Getting started", ""),
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
        replace("read-data", "kidiq", "no_such_file"),
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
        "every_draw_is_seeded", "model.fit()", replace("fit", ", random_seed=SEED", "")
    ),
    Broken("every_draw_is_seeded", "model.fit()", replace("fit", "=SEED", "=1")),
    Broken(
        "every_draw_is_seeded",
        "model.predict",
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
        "sample_posterior_predictive",
        append("prior", "pm.sample_posterior_predictive(fit)"),
    ),
    Broken(
        "every_draw_is_seeded",
        "pm.sample()",
        append("prior", "fit = pm.sample(chains=4)"),
    ),
    Broken("every_fit_states_its_chains", "chains=4", replace("fit", "chains=4, ", "")),
    Broken("every_fit_is_diagnosed", "fit", drop("diagnose")),
    Broken("every_fit_is_diagnosed", "set again", append("fit", FIT)),
    Broken("every_fit_is_diagnosed", "fit", append("data-solution", FIT)),
    Broken(
        "every_fit_is_diagnosed",
        "name the fit",
        append("prior", FIT.removeprefix("fit = ")),
    ),
    Broken(
        "every_fit_is_diagnosed",
        "fits",
        append(
            "prior", f"def make(prior):\n    {FIT}\n    return fit\nfits = [make(1)]"
        ),
    ),
    Broken("diagnoses_are_clean", "mend the fit", attribute("diagnose", outputs=[])),
    Broken(
        "diagnoses_are_clean",
        "mend the fit",
        prints("diagnose", "\nR-hat\nThe following"),
    ),
    Broken("diagnoses_are_clean", "mend the fit", prints("diagnose", "problems: True")),
    Broken(
        "diagnoses_are_clean",
        "show the verdict",
        replace("diagnose", 'print("problems:", ', "_ = ("),
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
    *(
        Broken(
            "tables_have_names_for_people",
            f"rename `{key}`",
            shows("prior", "text/html", f"<th>mean</th><th>{key}</th>"),
        )
        for key in ["eti89_lb", "hdi95_ub", "lower_5.5%", "1|school_sigma"]
    ),
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
    Broken(
        "figures_have_caption_and_alt_text",
        "after it",
        drop("plot-data-caption"),
    ),
    Broken(
        "figures_have_caption_and_alt_text",
        "right after",
        swap("plot-data-caption", "data-says"),
    ),
    Broken("figures_have_caption_and_alt_text", "paragraph", caption("Children")),
    Broken(
        "figures_have_caption_and_alt_text",
        "paragraph",
        append("plot-data-caption", "\nMore."),
    ),
    Broken(
        "figures_have_caption_and_alt_text",
        "small letters",
        replace("plot-data-caption", "fig-topic-data", "fig-topic_data"),
    ),
    Broken("figures_have_caption_and_alt_text", "image.alt, only", no_alt_text),
    Broken("figures_have_caption_and_alt_text", "alt text", alt_text("Histogram")),
    Broken(
        "figures_have_caption_and_alt_text",
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
        replace("prior-predictive", "#fig-topic-prior", "#check"),
    ),
    Broken("needs_no_roles", "{term}`", append("data", "{term}`prior`")),
    Broken(
        "numbers_are_in_order",
        "make number",
        replace("plot-data-caption", "N.N.1", "N.N.2"),
    ),
    Broken(
        "numbers_are_in_order",
        "make number",
        replace("prior-predictive", "Figure N.N.2", "Figure N.N.3"),
    ),
    Broken(
        "numbers_are_in_order",
        "make number",
        append("data", "[Figure 1.1.1](../x.ipynb#fig-pool-data)"),
    ),
    Broken(
        "numbers_are_in_order",
        "make number",
        replace("code-start", "N.N.1", "N.N.2"),
    ),
    Broken(
        "labels_are_unique",
        "is taken",
        replace("plot-data-caption", "fig-topic-data", "fig-topic-prior"),
    ),
    Broken(
        "labels_are_unique",
        "is taken",
        append("model", '\n<a id="ex-topic-code"></a>'),
    ),
    Broken("labels_are_unique", "hyphens", append("model", '<a id="Ex_x"></a>')),
    Broken(
        "citations_are_as_in_the_bibliography",
        "no entry `nobody1900`",
        append("data", "[Nobody (1900)](../guide/bibliography.md#nobody1900)"),
    ),
    Broken(
        "citations_are_as_in_the_bibliography",
        "Gelman and Hill (2007)",
        replace("further-reading", "Gelman and Hill", "Gelman"),
    ),
    Broken(
        "citations_are_as_in_the_bibliography",
        "Gelman and Hill (2007)",
        replace("further-reading", "(2007)", "(2006)"),
    ),
    Broken(
        "terms_are_in_the_glossary",
        "first use",
        lambda notebook: [
            replace(cell.id, "glossary.md", "notation.md")(notebook)
            for cell in notebook.cells
            if "glossary.md#" in cell.source
        ],
    ),
    Broken(
        "links_lead_somewhere",
        "nowhere",
        append("data", "[x](../guide/glossary.md#no-such-term)"),
    ),
    Broken(
        "links_lead_somewhere",
        "nowhere",
        append("data", "[x](../day1_bayes/01_bayes_rule.ipynb#fig-no-label)"),
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
        caption("Significance of " * 4),
    ),
    Broken("spelling_is_british", "modeling", append("data", "This is modeling.")),
    Broken("spelling_is_british", "Standardized", append("data", "Standardized data.")),
    Broken("spelling_is_british", "tumor", alt_text("A tumor rate")),
    Broken(
        "numbers_in_the_text_are_in_an_output_above",
        "89.6",
        replace("predict", "89.3", "89.6"),
    ),
    Broken(
        "numbers_in_the_text_are_in_an_output_above",
        "89.30",
        append("predict", "It is 89.30."),
    ),
    Broken(
        "numbers_in_the_text_are_in_an_output_above",
        "89.3",
        append("data", "It is 89.3."),
    ),
    Broken(
        "numbers_in_the_text_are_in_an_output_above",
        "13.7 %",
        append("predict", "It is 13.7 %."),
    ),
    Broken(
        "numbers_in_the_text_are_in_an_output_above",
        "0.777",
        caption("At 0.777."),
    ),
    Broken(
        "numbers_quoted_from_draws_recur", "128.9", append("check", "It is 128.9 here.")
    ),
]


HARMLESS = [
    append("prior", 'reference = smf.ols("y ~ x", data).fit()'),
    append("plot-data", "rng.normal(size=3)"),
    append("prior", "model.predict(fit)"),
    append(
        "diagnose",
        "fits = {}\nfor prior in priors:\n    with build(prior):\n"
        "        fits[prior] = pm.sample(chains=4, random_seed=SEED)\n"
        "    _ = az.diagnose(fits[prior])",
    ),
    append(
        "diagnose",
        'other = bmb.Model("y ~ x", data)\nfitted = other.fit(chains=4, random_seed=SEED)\n'
        "_ = az.diagnose(fitted)",
    ),
    prints("diagnose", "R-hat\nProcessing complete, no problems detected."),
    append("deeper", "Here x.reshape(2) and x[:, None] may be needed."),
    append("least-squares", "x.reshape(2)"),
    append("code-solution", "fig, ax = plt.subplots()"),
    replace("data", "## The data", "## The data: children and mothers"),
    append(
        "data",
        'They called it "significant". Two significant digits. A coloured centre.',
    ),
    append("data", "Maxwell and Delaney (2004), *Analyzing Data*, chapter 11."),
    append("data", "See section 5.3, tables 5.1 and 5.2, and PyMC 6.4."),
    append(
        "data",
        "The site is [here](https://example.org), the box $a < 0.777$ or `0.777`.",
    ),
    append("predict", "That is 78.6 % of the mothers."),
    append("data", "Half an hour is `12:30:00`, an and/or/var/ path is not a path."),
]


@cache
def template():
    """The template, read once."""
    return nbformat.read(TEMPLATE, as_version=4)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_broken_template_is_caught(case):
    notebook = deepcopy(template())
    (rule,) = [rule for rule in ALL_RULES if rule.__name__ == case.rule]
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
    for rule in ALL_RULES:
        if rule.__name__ not in ("passes_ruff_check", "passes_ruff_format"):
            before = breaches(rule, Lesson(TEMPLATE, deepcopy(template())))
            assert set(breaches(rule, Lesson(TEMPLATE, notebook))) <= set(before)


def test_every_rule_is_proven_able_to_fail():
    assert {rule.__name__ for rule in ALL_RULES} == {case.rule for case in CASES}


def test_notes_for_the_author_are_caught_in_a_copy():
    (rule,) = [
        rule
        for rule in ALL_RULES
        if rule.__name__ == "has_no_notes_left_for_the_author"
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
        "Seen `0.1` and $0.2$, [prior](../guide/glossary.md#x0.3), [a link](../0.4.md)\n"
        ":::{note} Title\n:class: x0.5\nbody\n:::\n"
        "```python\n0.6\n```\n$$\n0.7\n$$\n<!-- {solution-start} 0.8 -->"
    )
    assert not numbers(text)
    assert all(word in text for word in ("Seen", "prior", "a link", "Title", "body"))


@pytest.mark.parametrize(
    ("authors", "cited"),
    [
        ("Eddy, David M.", "Eddy"),
        ("de Finetti, Bruno", "de Finetti"),
        ("Gelman, Andrew and Jennifer Hill", "Gelman and Hill"),
        ("Kreft, Ita G. G. and Jan De Leeuw", "Kreft and De Leeuw"),
        ("Rubin, Donald B., Xiao-Li Meng and Hal Stern", "Rubin et al."),
        ("Stan Development Team", "Stan Development Team"),
    ],
)
def test_authors_are_cited_in_short(authors, cited):
    assert cited_as(authors) == cited


def test_captions_weigh_nothing():
    longer = deepcopy(template())
    append("plot-data-caption", "word " * 100)(longer)
    before, after = (weigh(Lesson(TEMPLATE, n).core) for n in (template(), longer))
    assert before == after


def test_contents_are_read_at_every_depth():
    table = {
        "root": "index",
        "parts": [
            {"chapters": [{"file": "a", "sections": [{"file": "b", "title": "B"}]}]}
        ],
    }
    assert contents(table) == [("index", None), ("a", None), ("b", "B")]


def test_the_template_would_have_to_leave_the_list_of_old_lessons():
    assert is_reworked(Lesson(TEMPLATE))


def test_solutions_weigh_nothing():
    heavy = deepcopy(template())
    append("code-solution", "x = 1\n" * 100)(heavy)
    append("think-solution", "word " * 100)(heavy)
    before, after = (weigh(Lesson(TEMPLATE, n).core) for n in (template(), heavy))
    assert before == after


DAY = """
## Lessons

| | Lesson | Question | Core | Exercises | Deeper |
| --- | --- | --- | --- | --- | --- |
| 1.1 | [One](01_one.ipynb) | What? | 40 | 18 | 10 |
| 1.2 | [Two](02_two.ipynb) | How? | 60 | 30 | – |
| 1.3 | [Three](03_three.ipynb) *further* | Why? | 30 | 20 | 15 |
"""


def day_faults(
    page=DAY, one=(40, 18, 10), two=(60, 30), further=("day1_x/03_three.ipynb",)
):
    """What is wrong with a day of three lessons; two numbers are minutes of the old form."""
    minutes = {
        "day1_x/01_one.ipynb": one,
        "day1_x/02_two.ipynb": two,
        "day1_x/03_three.ipynb": (30, 20, 15),
    }
    lessons = [
        SimpleNamespace(
            name=name,
            minutes=given,
            class_minutes=given and given[1] // 2,
            is_old=given is not None and len(given) == 2,
        )
        for name, given in minutes.items()
    ]
    return "\n".join(wrong_with_day(page, lessons, further))


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("(01_one.ipynb) | ... | 41 | 18 | 10 |", {"one": (41, 18, 10)}),
        ("(02_two.ipynb) | ... | 60 | 30 | – |", {"page": DAY.replace("–", "5")}),
        ("needs these rows", {"page": DAY.partition("| 1.3")[0]}),
        ("needs these rows", {"page": DAY.replace("1.3", "1.4")}),
        ("needs these rows", {"page": DAY.replace(" *further*", "")}),
        ("(03_three.ipynb) | ...", {"further": ()}),
        ("needs these rows", {"page": DAY + DAY.splitlines()[-1] + "\n"}),
        ("needs | | Lesson", {"page": DAY.replace("| Core |", "| Minutes |")}),
        ("no minutes", {"one": None}),
        ("takes 301 + 20 minutes", {"one": (200, 20, 0), "two": (101, 20, 0)}),
        ("takes 300 + 61 minutes", {"one": (200, 82, 0), "two": (100, 40, 0)}),
    ],
)
def test_a_wrong_day_is_caught(message, change):
    assert not day_faults()
    assert message in day_faults(**change)


def test_a_full_day_and_one_with_lessons_in_the_old_form_may_be_long():
    assert "takes" not in day_faults(one=(200, 80, 0), two=(100, 40, 0))
    assert "takes" not in day_faults(one=(200, 80, 0), two=(200, 80))


# --- The old form: goes when OLD_FORM is empty ------------------------------------------------


@pytest.mark.parametrize(
    ("message", "pattern", "new"),
    [
        ("Teaching", r"\*\*Teaching\*\*", "Teaching"),
        ("15 to 60", r"\*\*Teaching\*\* \d+", "**Teaching** 90"),
        ("cells before", r"^## Check", "### Check"),
        ("3 to 5", r"</a>Exercise", "</a>Task"),
    ],
)
@pytest.mark.parametrize("name", OLD_FORM[:1])
def test_a_broken_lesson_in_the_old_form_is_caught(name, message, pattern, new):
    notebook = nbformat.read(ROOT / name, as_version=4)
    for cell in notebook.cells:
        cell.source = re.sub(pattern, new, cell.source, flags=re.MULTILINE)
    found = breaches(old_form_is_kept, Lesson(ROOT / name, notebook))
    assert any(message in each for each in found)
