"""The rules of a lesson that a program can check, each a short function, over every lesson.

A rule is a generator that takes a `Lesson` and yields `(cell, what is wrong and what to do)` for
each breach; `cell` is None where the whole notebook is meant. The template must follow every rule
too, and test_structure_catches.py breaks it on purpose to prove that each rule can fail. Lessons
that `OLD_FORM` in lessons.py lists are exempt from the rules marked `@new_form`.
"""

import ast
import json
import re
import subprocess
import sys
import unicodedata
from base64 import b64decode
from decimal import Decimal
from statistics import NormalDist

import execute
import nbformat
import output_check
import pytest
import yaml
from lessons import (
    LESSONS,
    OLD_FORM,
    ROLE,
    ROOT,
    TEMPLATE,
    Lesson,
    Weight,
    agrees,
    anchors,
    anchors_of,
    bibliography,
    book,
    calls,
    cited_as,
    glossary,
    keywords,
    known_numbers,
    labels_elsewhere,
    names,
    numbers,
    numbers_in_code,
    pages,
    sentences,
    weigh,
    without_code_blocks,
)
from number import numbered, places

CELL_METADATA = {"tags", "mystnb"}
FOLDED = {"jp-MarkdownHeadingCollapsed": True}  # in JupyterLab, up to the next heading
STYLE_LINE = (
    'plt.style.use("../book.mplstyle")  # needs the course\'s folder: Getting started'
)
TAGS = {"mcmc", "shows-failure", "hide-input", "hide-cell"}
LINES_IN_CELL = 20
LAST_SECTIONS = ["Exercises", "Take-away", "Going deeper", "Further reading"]
CORE = Weight(words=2200, lines=180, cells=24, figures=8)  # at most
IDEAS = 3  # sections of a core beside the data, exercises and take-away
MAY_STOP = (
    "*Class may stop here. "
    "Nothing in the core of this or a later lesson needs what follows.*"
)
IDIOMS = re.compile(r'\.reshape\(|\[:, None|\[None|transpose\("sample"|einsum')
PREDICTION = re.compile(r"\.predict\(|sample_posterior_predictive|interpret\.")
LIBRARY_FIGURE = re.compile(
    r"az\.plot_|sns\.|so\.Plot|interpret\.plot_|\.graph\(|model_to_graphviz"
)
TEACHING = 300  # minutes of a day's core path
IN_CLASS = 60  # minutes of its exercises in class
FURTHER = " (further)"  # ends the title of a further lesson in the contents
VAGUE_VERBS = {"understand", "know", "learn", "appreciate", "grasp", "be", "have"}
MAX_NOTEBOOK, MAX_FIGURE, MAX_TEXT = 3_000_000, 300_000, 20_000
MAX_COLUMNS = 12
LIBRARY_KEY = re.compile(r"^(eti|hdi)\d+_[lu]b$|^(lower|upper)_[\d.]+%$|\|\w+_sigma$")
RECURS = 0.5  # of the runs with other seeds give a number quoted in the text

DEBRIS = {
    r"[━█▌]|\d ?(it|draws)/s|Sampling: \[|NUTS\[|Initializing NUTS": "a sampler's log",
    r"\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ]\d\d:\d\d": "a time",
    r"\bat 0x|0x[0-9a-f]{6,}": "a memory address",
    r"xr-wrap|xarray\.DataTree": "a DataTree, whose display holds times: show a summary of it",
    r"<Axes: |<matplotlib\.|<PlotCollection": "a plotting object: write `_ = ...` before the call",
}
ABSOLUTE_PATH = re.compile(
    r"(?<![\w.])/(?:home|Users|tmp|root|work|usr|opt|mnt|var)/|\b[A-Z]:\\+(?:Users|Windows|Program)"
)
FORBIDDEN_CODE = {
    r"^\s*[%!]": "no magics or shell commands: write Python",
    r"filterwarnings|simplefilter": "no warning filters: mend what warns",
    r"np\.random\.(?!default_rng|Generator)|\brandom\.seed": "use np.random.default_rng(SEED)",
    r"^\s*global |os\.environ|os\.chdir|sys\.path": "no global state",
    r"rcParams|set_option|pd\.options|set_theme|set_style": "no settings: book.mplstyle has them",
    r"https?://|urlopen|load_data\(|load_dataset\(|load_arviz_data|fetch_": "read ../data",
}
SEEDED_METHODS = {
    "sample",
    "sample_smc",
    "sample_prior_predictive",
    "sample_posterior_predictive",
    "prior_predictive",
    "draw",
    "rvs",
}
AMERICAN = re.compile(
    r"\b(model(?:ing|ed|ers?)|label(?:ing|ed)|travel(?:ing|ed)|cancel(?:ing|ed)|color\w*|"
    r"behavior\w*|center(?:s|ed|ing)?|neighbor\w*|favor\w*|tumors?|fibers?|gray|skeptic\w*|"
    r"fulfill|analyz\w+|catalogs?|(?:central|character|emphas|factor|general|initial|marginal|"
    r"maxim|minim|normal|optim|organ|(?:re)?parameter|random|real|recogn|regular|special|"
    r"standard|summar|vector|visual)iz(?:e[drs]?|ing|ations?))\b",
    re.IGNORECASE,
)
QUOTED = re.compile(r"“[^”]*”|\"[^\"\n]*\"|(?<!\w)[‘'][^’'\n]*[’'](?!\w)")
BOOK = re.compile(r"\(\d{4}\w?\), \*[^*]+\*")  # a title after its authors and year
REFERENCE = re.compile(
    r"\b(lessons?|sections?|chapters?|ch\.|§|tables?|figures?|equations?|examples?|exercises?|pages?|pp?\.|versions?|"
    r"Python|PyMC|Bambi|ArviZ)\s*\d[\d.]*(?:(?:,| and| to|–|-)\s*\d[\d.]*)*",
    re.IGNORECASE,
)
DECIMAL = re.compile(r"(?<![\w.])(\d*\.\d+)(?!\w|\.\d)(\s?%)?")

RULES, NEW_FORM_RULES = [], []


def rule(function):
    """Register a rule of every lesson."""
    RULES.append(function)
    return function


def new_form(function):
    """Register a rule of every lesson but those in OLD_FORM."""
    NEW_FORM_RULES.append(function)
    return function


def breaches(check, lesson):
    """The messages of one rule on one lesson."""
    return [
        f"{lesson.name}{f', {cell}' if cell else ''}: {message}"
        for cell, message in check(lesson)
    ]


# --- The file ---------------------------------------------------------------------------------


@rule
def is_a_valid_notebook(lesson):
    if (lesson.notebook.nbformat, lesson.notebook.nbformat_minor) != (4, 5):
        yield None, "save it in notebook format 4.5"
    ids = [cell.id for cell in lesson.cells]
    repeated = [cell for cell in lesson.cells if ids.count(cell.id) > 1 or not cell.id]
    for cell in repeated:
        yield cell, "give the cell an id of its own"
    if not repeated:
        try:
            nbformat.validate(lesson.notebook)
        except nbformat.ValidationError as error:
            yield None, f"not a valid notebook: {str(error).splitlines()[0]}"


@rule
def notebook_metadata_are_the_same_everywhere(lesson):
    if lesson.notebook.metadata != execute.METADATA:
        yield None, f"set the notebook's metadata to {json.dumps(execute.METADATA)}"


@rule
def cells_hold_only_known_metadata(lesson):
    for cell in lesson.cells:
        if cell.kind == "raw" or "attachments" in cell.node:
            yield cell, "use Markdown and code cells without attachments only"
        opens = any(solution.cell is cell for solution in lesson.solutions)
        if cell.kind == "markdown" and cell.metadata != (FOLDED if opens else {}):
            yield (
                cell,
                f"remove the metadata of this Markdown cell, but for {FOLDED} "
                "of a solution's heading",
            )
        elif cell.kind == "code" and (extra := set(cell.metadata) - CELL_METADATA):
            yield (
                cell,
                f"remove the metadata {sorted(extra)}; allowed: {sorted(CELL_METADATA)}",
            )
        if extra := set(cell.tags) - TAGS:
            yield cell, f"remove the tags {sorted(extra)}; allowed: {sorted(TAGS)}"


@rule
def sizes_are_within_limits(lesson):
    if len(nbformat.writes(lesson.notebook).encode()) > MAX_NOTEBOOK:
        yield None, f"make the notebook smaller than {MAX_NOTEBOOK:,} bytes"
    for cell in lesson.code:
        if any(len(b64decode(figure)) > MAX_FIGURE for figure in cell.figures):
            yield (
                cell,
                f"make the figure smaller than {MAX_FIGURE:,} bytes: draw fewer points",
            )
        if len(json.dumps(cell.outputs)) - sum(map(len, cell.figures)) > MAX_TEXT:
            yield cell, f"show less text: it is more than {MAX_TEXT:,} bytes"


# --- The parts of a lesson --------------------------------------------------------------------


@rule
def opens_with_title_and_question(lesson):
    cell = lesson.cells[0]
    if (
        not re.fullmatch(r"# [^\n]+\n\n[^\n]*[^\n.?!]\?\n?", cell.source)
        or cell.kind == "code"
    ):
        yield (
            cell,
            "write `# Title`, an empty line and one sentence that asks the question, on one line",
        )
    elif sentences(cell.source.split("\n\n")[1]) != 1:
        yield cell, "ask the question in one sentence"


@rule
def second_cell_is_the_objectives_box(lesson):
    cell = lesson.cells[1]
    box = next(
        (box for box in lesson.directives("admonition") if box.cell is cell), None
    )
    if not box or (box.argument, box.options.get("class")) != (
        "After this lesson you can",
        "objectives",
    ):
        yield (
            cell,
            "write the box `:::{admonition} After this lesson you can`, `:class: objectives`",
        )
        return
    verbs = re.findall(r"^- +(\S+)", box.body, re.MULTILINE)
    most = 5 if lesson.is_old else 4
    if not 3 <= len(verbs) <= most:
        yield cell, f"list 3 to {most} things the reader can do, not {len(verbs)}"
    for verb in verbs:
        if not re.fullmatch("[a-z-]+", verb) or verb in VAGUE_VERBS:
            yield (
                cell,
                f"start with a small-letter verb for something one can watch, not `{verb}`",
            )


@rule
def headings_are_in_order(lesson):
    level_before = 0
    for cell in lesson.markdown:
        for level, text in cell.headings:
            if level > level_before + 1:
                yield cell, f"`{text}` skips a heading level"
            if level == 1 and cell.index:
                yield cell, f"`{text}`: only the title is a `#` heading"
            if cell.in_solution and not text.startswith("Solution of Exercise "):
                yield cell, f"`{text}`: no headings inside a solution"
            level_before = level


@rule
def closes_with_the_fixed_sections(lesson):
    sections = [
        text for cell in lesson.markdown for level, text in cell.headings if level == 2
    ]
    last = OLD_LAST_SECTIONS if lesson.is_old else LAST_SECTIONS
    if sections[-4:] != last:
        yield (
            None,
            f"end with the sections {last}, in this order, not {sections[-4:]}",
        )
    if len(sections) < 6:
        yield None, "split the body of the lesson into at least two `##` sections"


@rule
def has_predict_first_and_misreading_boxes(lesson):
    # In JupyterLab the first word of a class gives the colour.
    for title, kind in [
        ("Predict first", "tip predict"),
        ("Common misreading", "warning misreading"),
    ]:
        boxes = [
            box
            for box in lesson.directives("admonition")
            if box.argument.startswith(title)
        ]
        if not boxes:
            yield None, f"add a box `:::{{admonition}} {title}`"
        for box in boxes:
            if box.options.get("class") != kind:
                yield box.cell, f"give the box `{title}` the line `:class: {kind}`"


@rule
def boxes_and_directives_are_closed(lesson):
    for cell in lesson.markdown:
        fences = re.findall(r"^(:{3,}|`{3,})([^\n]*)$", cell.source, re.MULTILINE)
        opened = []
        for fence, rest in fences:
            if rest.strip():
                opened.append(fence)
            elif opened and opened[-1] == fence:
                opened.pop()
            else:
                yield cell, f"`{fence}` closes nothing"
        if opened:
            yield cell, f"`{opened[-1]}` is never closed"


@rule
def check_compares_with_published_numbers(lesson):
    code = [cell for cell in lesson.section("Check") if cell.kind == "code"]
    if not any("../data/published.csv" in cell.source for cell in code):
        yield None, "read ../data/published.csv in the section `Check`"
    if not any(numbers(cell.printed) for cell in code):
        yield None, "show the published numbers beside ours in the section `Check`"
    prose = "\n".join(cell.source for cell in lesson.cells if cell.kind == "markdown")
    # The text after the tables may share its cell with the next heading.
    says_all = re.search(r"^###? Check$(?:(?!^###? ).)*?All agree", prose, re.M | re.S)
    for cell in code:
        if says_all and re.search(r"\bFalse\b", cell.printed):
            yield (
                cell,
                "the text says `All agree`, but a comparison is False: explain it",
            )


@rule
def exercises_have_labels_and_solutions(lesson):
    solved = [(found.label, found.level) for found in lesson.solutions]
    places = [*lesson.section("Exercises"), *lesson.section("More exercises")]
    for exercise in lesson.exercises:
        if solved.count((exercise.label, exercise.level + 1)) != 1:
            yield (
                exercise.cell,
                f"write one cell `{'#' * (exercise.level + 1)} Solution of Exercise 1.1.1`, empty "
                f"line, `<!-- {{solution-start}} {exercise.label} -->`",
            )
        if exercise.cell not in places:
            yield exercise.cell, "move the exercise under `## Exercises`"
    found = [exercise.cell for exercise in lesson.exercises]
    for cell in lesson.markdown:
        named = [text for _, text in cell.headings if re.search(r"\bExercise\b", text)]
        if len(named) > found.count(cell) and not cell.in_solution:
            yield cell, 'write `### <a id="ex-label"></a>Exercise 1.1.1. Title`'
    for solution in lesson.solutions:
        if solution.label not in [exercise.label for exercise in lesson.exercises]:
            yield solution.cell, f"no exercise has the label {solution.label}"


@rule
def solutions_are_gated_and_run(lesson):
    gates = [(cell, gate) for cell in lesson.markdown for gate, _ in cell.gates]
    order = [gate for _, gate in gates]
    if order != ["solution-start", "solution-end"] * (len(order) // 2):
        yield None, f"write `solution-start` and `solution-end` in turn, not {order}"
        return
    run = 0
    for (start, _), (end, _) in zip(gates[::2], gates[1::2], strict=True):
        inside = lesson.cells[start.index + 1 : end.index + 1]
        run += any(cell.kind == "code" for cell in inside)
        if not "".join(
            c.source if c.kind == "code" else c.prose for c in inside
        ).strip():
            yield start, "the solution is empty"
        if start not in [solution.cell for solution in lesson.solutions]:
            yield start, "a solution begins with a heading of its own: see the template"
        after = lesson.cells[end.index + 1 : end.index + 2]
        if not end.source.endswith("-->") or not all(
            c.source.startswith("#") for c in after
        ):
            yield (
                end,
                "begin a new cell with a heading after `solution-end`: JupyterLab folds all away "
                "up to there",
            )
    if run < 2:
        yield None, "at least two solutions must hold code that was run"


@rule
def ends_with_take_away_and_reading(lesson):
    take_away = "\n".join(cell.prose for cell in lesson.section("Take-away"))
    if not 3 <= sentences(take_away) <= 5:
        yield None, f"the take-away has 3 to 5 sentences, not {sentences(take_away)}"
    reading = "".join(cell.source for cell in lesson.section("Further reading"))
    if "bibliography.md#" not in reading:
        yield (
            None,
            "cite, [Author (1999)](../guide/bibliography.md#key), what to read in the section "
            "`## Further reading`",
        )


@rule
def has_no_notes_left_for_the_author(lesson):
    for cell in lesson.cells:
        if re.search(r"\b(TODO|FIXME|XXX|TBD|lorem ipsum)\b", cell.source):
            yield cell, "finish what is marked as open"
        if "For the author" in cell.source and not lesson.is_template:
            yield cell, "remove the template's note for the author"


# --- Core and going deeper --------------------------------------------------------------------


@new_form
def states_its_minutes(lesson):
    cell = lesson.cells[1]
    if not lesson.minutes:
        yield (
            cell,
            "add `**Core** 38 min · **Exercises** 20 min · **Going deeper** 15 min · "
            "**Builds on** ...`",
        )
        return
    core, exercises, deeper = lesson.minutes
    for part, stated, cells in [
        ("Core", core, lesson.core),
        ("Going deeper", deeper, lesson.deeper),
    ]:
        if abs(stated - weigh(cells).minutes) > 1:
            yield (
                cell,
                f"**{part}** takes {weigh(cells).minutes} min, counting words and lines",
            )
    total = sum(minutes or 0 for _, minutes in core_exercises(lesson))
    if exercises != total:
        yield cell, f"**Exercises** take {total} min, adding up what they state"


@new_form
def core_is_within_its_budget(lesson):
    for what, amount, most in zip(Weight._fields, weigh(lesson.core), CORE):
        if amount > most:
            yield (
                None,
                f"the core has {amount} {what}, at most {most}: move some to "
                "`## Going deeper`, or make two lessons",
            )
    sections = [
        text
        for cell in lesson.core
        for level, text in (cell.headings if cell.kind == "markdown" else [])
        if level == 2 and not re.match("The data(:|$)|Exercises$|Take-away$", text)
    ]
    if len(sections) > IDEAS:
        yield None, f"the core has the sections {sections}: at most {IDEAS} ideas"


@new_form
def going_deeper_says_what_it_adds(lesson):
    if not lesson.deeper:
        yield None, "part what goes deeper from the core: `## Going deeper`"
        return
    first, titles = lesson.deeper[0], []
    if not f"{first.source}\n\n".startswith(f"## Going deeper\n\n{MAY_STOP}\n\n"):
        yield first, f"begin the cell with `## Going deeper`, empty line, `{MAY_STOP}`"
    for cell in lesson.section("Going deeper"):
        text = without_code_blocks(cell.source) if cell.kind == "markdown" else ""
        for title, paragraph in re.findall(
            r"^### +(.+)\n*((?:.+\n?)*)", text, re.MULTILINE
        ):
            titles.append(title.strip())
            in_italics = re.fullmatch(r"\*(?!\*)[^*]+\*", paragraph.strip())
            if titles[-1] not in ("Check", "More exercises") and not (
                in_italics and sentences(paragraph) == 1
            ):
                yield (
                    cell,
                    f"below `### {titles[-1]}` say in one sentence, a paragraph in "
                    "*italics*, what the section adds and for whom",
                )
    if titles[-1:] != ["Check"]:
        yield None, "end `## Going deeper` with `### Check`"


@new_form
def exercises_fit_the_class(lesson):
    exercises = list(core_exercises(lesson))
    if len(exercises) not in (2, 3):
        yield (
            None,
            f"write 2 or 3 exercises under `## Exercises`, not {len(exercises)}; "
            "others go under `### More exercises`",
        )
    for exercise, minutes in exercises:
        if minutes is None:
            yield (
                exercise.cell,
                "begin the first exercise with `*In class, 8 min.*`, others with `*10 min.*`",
            )
    for exercise, _ in exercises[:1]:
        blocks = re.findall(r"^```python\n(.*?)^```", exercise.body, re.M | re.S)
        if not any("..." in block for block in blocks):
            yield (
                exercise.cell,
                "give the class a skeleton: a ```python block with `...` to fill in",
            )
    if not any(cell.kind == "code" and cell.in_solution for cell in lesson.core):
        yield None, "at least one solution in the core must hold code that was run"


@new_form
def core_handles_draws_by_name(lesson):
    for cell in lesson.core:
        if cell.kind == "code" and (found := IDIOMS.search(cell.source)):
            yield (
                cell,
                f"`{found[0]}`: name the dimensions, as in `.sel(...)`, "
                '`.mean("sample")`, `.quantile([...], "sample")`',
            )


@new_form
def core_uses_the_library(lesson):
    if not any(
        lesson.is_fit(function) or function in lesson.fitters[1]
        for cell in lesson.core
        if cell.kind == "code"
        for _, function in calls(cell.tree)
    ):
        return
    code = "\n".join(cell.source for cell in lesson.code)
    if not PREDICTION.search(code):
        yield (
            None,
            "predict with the library: model.predict, bmb.interpret, "
            "pm.sample_posterior_predictive",
        )
    if len(LIBRARY_FIGURE.findall(code)) < 2:
        yield (
            None,
            "let ArviZ, seaborn, Bambi or graphviz draw at least two of the figures",
        )


@new_form
def code_that_draws_or_checks_is_hidden(lesson):
    check = lesson.section("Check")
    for cell in lesson.code:
        draws = re.search(r"\bplt\.(subplots|figure)\(", cell.source)
        if cell in check:
            if "hide-cell" not in cell.tags:
                yield cell, "tag the cells of `### Check` with `hide-cell`"
        elif draws and not cell.in_solution and "hide-input" not in cell.tags:
            yield cell, f"`{draws[0]}`: draw in a cell with the tag `hide-input`"


# --- The old form: goes when OLD_FORM is empty ------------------------------------------------

OLD_LAST_SECTIONS = ["Check", "Exercises", "Take-away", "Further reading"]
OLD_CELLS = range(15, 51)


def old_form_is_kept(lesson):
    """The only rule of its own of a lesson in OLD_FORM."""
    if not lesson.minutes:
        yield (
            lesson.cells[1],
            "add `**Teaching** 45 min · **Exercises** 30 min · **Builds on** ...`",
        )
    elif not 15 <= lesson.minutes[0] <= 60:
        yield lesson.cells[1], "teach for 15 to 60 minutes: split or join lessons"
    check = next((c.index for c in lesson.markdown if (2, "Check") in c.headings), 0)
    count = sum(not cell.caption for cell in lesson.cells[:check])
    if count not in OLD_CELLS:
        yield None, f"{count} cells before `## Check`; at most {OLD_CELLS[-1]}"
    if not 3 <= len(lesson.exercises) <= 5:
        yield None, f"write 3 to 5 exercises, not {len(lesson.exercises)}"


# --- Code -------------------------------------------------------------------------------------


@rule
def first_code_cell_is_the_set_up(lesson):
    cell = lesson.code[0]
    allowed = [
        r"(from [\w.]+ )?import [\w., ]+",
        r"plt\.style\.use\('\.\./book\.mplstyle'\)",
        r"SEED = \d+",
        r"ETI = \{[^{}]*\}",
        r"rng = np\.random\.default_rng\(SEED\)",
    ]
    lines = [ast.unparse(statement) for statement in cell.tree.body]
    steps = [
        next(
            (step for step, form in enumerate(allowed) if re.fullmatch(form, line)),
            None,
        )
        for line in lines
    ]
    if None in steps:
        yield cell, f"`{lines[steps.index(None)]}` does not belong in the set-up cell"
    elif steps != sorted(steps) or not {0, 1, 2} <= set(steps):
        yield (
            cell,
            'order: imports, plt.style.use("../book.mplstyle"), SEED = <whole number>',
        )
    elif STYLE_LINE not in cell.source.splitlines():
        yield cell, f"tell whoever opens the lesson alone what it needs: `{STYLE_LINE}`"


@rule
def imports_stand_only_in_the_set_up(lesson):
    for cell in lesson.code[1:]:
        if any(
            isinstance(node, ast.Import | ast.ImportFrom)
            for node in ast.walk(cell.tree)
        ):
            yield cell, "move the import to the set-up cell"


@rule
def cells_are_short(lesson):
    for cell in lesson.code:
        lines = sum(bool(line.strip()) for line in cell.source.splitlines())
        if lines > LINES_IN_CELL:
            yield (
                cell,
                f"{lines} lines; aim at 15, at most {LINES_IN_CELL}: split the cell",
            )


@rule
def passes_ruff_check(lesson):
    command = ["check", "--extend-select", "F", "--output-format", "concise"]
    yield from ruff(lesson, command, r":cell (\d+):\d+:\d+: (.*)")


@rule
def passes_ruff_format(lesson):
    for cell, _ in ruff(lesson, ["format", "--diff"], r"^--- .*:cell (\d+)()\n.*\n@@"):
        yield cell, f"format the code: `ruff format {lesson.name}`"


@rule
def code_avoids_what_surprises(lesson):
    for cell in lesson.code:
        for pattern, advice in FORBIDDEN_CODE.items():
            if found := re.search(pattern, cell.source, re.MULTILINE):
                yield cell, f"`{found[0].strip()}`: {advice}"
        if cell.source.rstrip().endswith(";"):
            yield cell, "write `_ = ...` in place of the closing semicolon"


@rule
def data_are_read_from_the_data_folder(lesson):
    reads = [
        (cell, ast.unparse(call.args[0]) if call.args else "nothing")
        for cell in lesson.code
        for call, function in calls(cell.tree)
        if function == "pd.read_csv"
    ]
    for cell, argument in reads:
        path = re.fullmatch(r"'\.\./data/([\w.-]+\.csv)'", argument)
        if not path or not (ROOT / "data" / path[1]).is_file():
            yield (
                cell,
                f"read_csv({argument}): read a file of ../data by its literal name",
            )
    if not reads:
        yield None, 'read real data: pd.read_csv("../data/NAME.csv")'


@rule
def every_draw_is_seeded(lesson):
    for cell in lesson.code:
        for call, function in calls(cell.tree):
            method, given = function.rpartition(".")[2], keywords(call)
            seed_names = ["random_seed", "random_state"]
            if function.startswith("nutpie."):
                seed_names = ["seed"]
            seeds = [given[name] for name in seed_names if name in given]
            if method == "default_rng":
                seeds = call.args
            elif not (
                method in SEEDED_METHODS
                or lesson.is_fit(function)
                or (
                    method == "predict"
                    and ast.unparse(given.get("kind", call)) == "'response'"
                )
            ):
                continue
            named = [name for seed in seeds for name in names(seed, ast.Load)]
            if not any(re.search("seed|rng", name, re.IGNORECASE) for name in named):
                yield cell, f"seed {function}() with SEED, such as random_seed=SEED"


@rule
def every_fit_states_its_chains(lesson):
    for cell in lesson.code:
        for call, function in calls(cell.tree):
            if lesson.is_fit(function) and "chains" not in keywords(call):
                yield (
                    cell,
                    f"pass chains=4 to {function}(): the default depends on the machine",
                )


@rule
def every_fit_is_diagnosed(lesson):
    pending = {}
    for cell in lesson.code:
        for statement in cell.tree.body:
            for name in (
                [] if "shows-failure" in cell.tags else lesson.fits_in(statement)
            ):
                if name in pending:
                    yield (
                        pending[name],
                        f"call az.diagnose({name}) before {name} is set again",
                    )
                pending[name] = cell
            if any(function == "az.diagnose" for _, function in calls(statement)):
                for name in names(statement, ast.Load):
                    pending.pop(name, None)
    for name, cell in pending.items():
        yield cell, f"name the fit and call az.diagnose on it (here: {name})"


@rule
def diagnoses_are_clean(lesson):
    for cell in lesson.code:
        if "shows-failure" in cell.tags or "az.diagnose(" not in cell.source:
            continue
        verdicts = len(re.findall(r"R-hat\n|problems: ", cell.printed))
        clean = len(
            re.findall(r"no problems detected|problems: False$", cell.printed, re.M)
        )
        if not verdicts or clean != verdicts:
            yield (
                cell,
                "az.diagnose finds a problem: mend the fit, or tag the cell `shows-failure`",
            )
        for call, function in calls(cell.tree):
            shown_as = f"'problems:', {ast.unparse(call)})"
            if (
                function == "az.diagnose"
                and "show_diagnostics" in keywords(call)
                and shown_as not in ast.unparse(cell.tree)
            ):
                yield cell, f'show the verdict: print("problems:", {ast.unparse(call)})'


# --- Outputs ----------------------------------------------------------------------------------


@rule
def was_run_from_top_to_bottom(lesson):
    for count, cell in enumerate(lesson.code, start=1):
        if cell.node.get("execution_count") != count:
            yield (
                cell,
                f"run the notebook from the top: `make execute NB={lesson.name}`",
            )
        elif not cell.source.strip():
            yield cell, "remove the empty cell"


@rule
def outputs_hold_no_errors_or_logs(lesson):
    for cell in lesson.code:
        for output in cell.outputs:
            if output.output_type == "error":
                yield cell, f"the cell fails with {output.ename}: mend it"
            if output.get("name") == "stderr":
                yield (
                    cell,
                    "the cell writes to stderr: mend what warns and execute again",
                )
            if any(
                "widget" in kind or "javascript" in kind
                for kind in output.get("data", {})
            ):
                yield cell, "the output is a widget: execute with `make execute`"


@rule
def outputs_hold_no_debris(lesson):
    for cell in lesson.code:
        text = "\n".join(shown(cell))
        for pattern, what in DEBRIS.items():
            if re.search(pattern, text):
                yield cell, f"the output holds {what}"


@rule
def there_are_no_absolute_paths(lesson):
    for cell in lesson.cells:
        for text in [cell.source, *(shown(cell) if cell.kind == "code" else [])]:
            if found := ABSOLUTE_PATH.search(text):
                yield cell, f"`{found[0]}`: no absolute paths"


@rule
def tables_fit_a_page(lesson):
    for cell in lesson.code:
        for text in shown(cell):
            row = re.search(r"<tr.*?</tr>", text, re.DOTALL)
            if row and (columns := len(re.findall("<t[hd]", row[0]))) > MAX_COLUMNS:
                yield cell, f"show at most {MAX_COLUMNS} of the {columns} columns"


@new_form
def tables_have_names_for_people(lesson):
    text = "\n".join(cell.source for cell in lesson.markdown)
    for cell in lesson.code:
        headings = set(re.findall("<th[^>]*>([^<]+)</th>", "\n".join(shown(cell))))
        for key in sorted(filter(LIBRARY_KEY.search, headings)):
            if f"`{key}`" not in text:
                yield cell, f"rename `{key}` for people, such as `89 % ETI from`"


@rule
def mcmc_tag_is_what_was_measured(lesson):
    """`make execute` tags a cell if something in it moves with the samplers' seeds."""
    remedy = f"`make execute NB={lesson.name}`"
    if not lesson.record["made_from"]:
        yield None, f"record how far its numbers move with the seeds: {remedy}"
        return
    if gone := set(lesson.record["cells"]) - {cell.id for cell in lesson.code}:
        yield (
            None,
            f"tests/recorded holds cells that are gone, {sorted(gone)}: {remedy}",
        )
    for cell in lesson.code:
        entry = lesson.record["cells"].get(cell.id, {})
        if ("mcmc" in cell.tags) != any(entry.get("spread", {}).values()):
            yield cell, f"the tag `mcmc` is not what was measured: {remedy}"


@rule
def check_is_not_switched_off(lesson):
    for cell in lesson.code:
        texts = [*cell.source.splitlines(), *cell.tags]
        if any(output_check.SWITCH.search(text) for text in texts):
            yield cell, "remove nbval's comment or tag: every output is checked"


# --- Figures ----------------------------------------------------------------------------------


@rule
def figures_have_caption_and_alt_text(lesson):
    for cell, after in zip(lesson.cells, [*lesson.cells[1:], None]):
        mystnb = cell.metadata.get("mystnb", {})
        if cell.caption and not (cell.index and lesson.cells[cell.index - 1].figures):
            yield cell, "a caption stands right after the cell of its figure"
        if not cell.figures:
            if "mystnb" in cell.metadata:
                yield cell, "remove the metadata `mystnb`: the cell shows no figure"
            continue
        if not (after and after.caption):
            yield (
                cell,
                'write a cell `<a id="fig-label"></a>**Figure 1.1.1.** Caption.` after it',
            )
            continue
        caption = after.source[after.caption.end() :].strip()
        if len(caption) < 40 or not caption.endswith(".") or "\n\n" in caption:
            yield after, "write the caption as one paragraph of at least 40 characters"
        if not re.fullmatch(r"fig-[a-z0-9-]+", after.caption["label"]):
            yield after, "label: `fig-...`, in small letters, digits and hyphens"
        if {key: set(value) for key, value in mystnb.items()} != {"image": {"alt"}}:
            yield cell, "set mystnb.image.alt, only"
        elif len(cell.alt) < 60 or cell.alt == caption:
            yield (
                cell,
                "alt text: kind of plot, of what, what it shows; 60 characters or more",
            )


@rule
def figures_are_png_and_one_to_a_cell(lesson):
    for cell in lesson.code:
        kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
        if other := {kind for kind in kinds if kind.startswith("image/")} - {
            "image/png"
        }:
            yield cell, f"draw with matplotlib, as PNG, not {sorted(other)}"
        if len(cell.figures) > 1:
            yield cell, "show one figure in a cell: a caption belongs to one figure"


@rule
def figures_are_referred_to(lesson):
    targets = {link for _, _, link in lesson.links}
    for cell in lesson.markdown:
        if cell.caption and f"#{cell.caption['label']}" not in targets:
            label, place = cell.caption["label"], cell.caption["number"]
            yield cell, f"say in the text what to see: [Figure {place}](#{label})"


# --- References -------------------------------------------------------------------------------


@rule
def needs_no_roles(lesson):
    for cell in lesson.markdown:
        if found := ROLE.search(without_code_blocks(cell.source)):
            yield cell, f"`{found[0]}`: write a link, which JupyterLab shows too"


@rule
def numbers_are_in_order(lesson):
    known = places(lesson.path, [cell.source for cell in lesson.markdown])
    for cell in lesson.markdown:
        if numbered(cell.source, known_numbers() | known) != cell.source:
            yield cell, "a number of a figure or exercise is wrong: run make number"


@rule
def labels_are_unique(lesson):
    own = [label for _, label in lesson.labels]
    elsewhere = set() if lesson.is_template else labels_elsewhere(lesson.path)
    for cell, label in lesson.labels:
        if own.count(label) > 1 or label in elsewhere:
            yield cell, f"the label {label} is taken: choose another"
        if not re.fullmatch("[a-z0-9-]+", label):
            yield cell, f"the label `{label}`: small letters, digits and hyphens only"


@rule
def citations_are_as_in_the_bibliography(lesson):
    for cell, text, link in lesson.links:
        key = link.partition("bibliography.md#")[2]
        if not key:
            continue
        if key not in bibliography():
            yield cell, f"guide/bibliography.md has no entry `{key}`"
            continue
        authors, year = bibliography()[key]
        forms = [f"{cited_as(authors)} ({year})", f"{cited_as(authors)}, {year}"]
        if text not in forms:
            yield cell, f"cite `{key}` as {forms[0]} or ({forms[1]}), not `{text}`"


@rule
def terms_are_in_the_glossary(lesson):
    if not any("glossary.md#" in link for _, _, link in lesson.links):
        yield (
            None,
            "link the terms to the glossary at their first use: "
            "[posterior](../guide/glossary.md#posterior-distribution)",
        )


@rule
def links_lead_somewhere(lesson):
    own = {anchor for cell in lesson.markdown for anchor in anchors(cell.source)}
    for cell, text, link in lesson.links:
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (lesson.path.parent / path).resolve()
        if not target.exists() or (
            anchor and anchor not in (anchors_of(target) if path else own)
        ):
            yield cell, f"the link `[{text}]({link})` leads nowhere"


# --- Words and numbers ------------------------------------------------------------------------


@rule
def says_nothing_is_significant(lesson):
    for cell in lesson.cells:
        text = re.sub(r"significant (digit|figure)s?", "", QUOTED.sub("", cell.prose))
        if found := re.search(r"\w*significan\w*", text, re.IGNORECASE):
            yield cell, f"say what is meant instead of `{found[0]}` (or quote it)"


@rule
def spelling_is_british(lesson):
    for cell in lesson.cells:
        text = BOOK.sub("", QUOTED.sub("", cell.prose))
        for found in AMERICAN.finditer(text):
            yield cell, f"British spelling, please: `{found[0]}`"


@rule
def numbers_in_the_text_are_in_an_output_above(lesson):
    """Decimals in prose and captions, outside formulas, code and citations.

    Numbers typed in code are known throughout; alt text may read values off a figure.
    """
    known = set().union(*(numbers_in_code(cell.source) for cell in lesson.code))
    for cell, claim, claims in quoted_decimals(lesson):
        if cell.kind == "code":
            known |= numbers(cell.printed)
        if claim and not any(agrees(c, number) for c in claims for number in known):
            yield (
                cell,
                f"{claim} is in no output above, at least not with so many digits",
            )


@rule
def numbers_quoted_from_draws_recur(lesson):
    """A quoted number has as many digits as most runs with other seeds share."""
    exact = set().union(*(numbers_in_code(cell.source) for cell in lesson.code))
    moving = set()
    for cell, claim, claims in quoted_decimals(lesson):
        if cell.kind == "code":
            for text, mean, sd in lesson.moving_numbers(cell):
                moving |= {(text.lstrip("+-"), abs(mean), sd)} if sd else set()
                exact |= set() if sd else {text.lstrip("+-")}
        if not claim or any(agrees(c, number) for c in claims for number in exact):
            continue
        chances = [
            chance_to_recur(c, mean, sd)
            for c in claims
            for text, mean, sd in moving
            if agrees(c, text)
        ]
        if chances and max(chances) < RECURS:
            yield (
                cell,
                f"{claim} is so in {max(chances):.0%} of the runs with other seeds: round it",
            )


# --- What the rules use -----------------------------------------------------------------------


def core_exercises(lesson):
    """(exercise, the minutes it states, if any) of those under `## Exercises`."""
    cells = lesson.section("Exercises")
    found = [exercise for exercise in lesson.exercises if exercise.cell in cells]
    for place, exercise in enumerate(found):
        form = r"\*(\d+) min\.\*" if place else r"\*In class, (\d+) min\.\*"
        minutes = re.match(form, exercise.body.lstrip())
        yield exercise, minutes and int(minutes[1])


def shown(cell):
    """Every text among a cell's outputs, of any kind."""
    for output in cell.outputs:
        yield output.get("text", "")
        yield from (
            text for kind, text in output.get("data", {}).items() if "text/" in kind
        )


def quoted_decimals(lesson):
    """(cell, decimal as written, its readings) for the decimals in the text, and for each cell.

    Every cell comes once with None before its decimals, so that a rule sees the cells in order.
    """
    for cell in lesson.cells:
        yield cell, None, []
        prose = cell.prose if cell.kind == "markdown" else ""
        for text, percent in DECIMAL.findall(REFERENCE.sub("", prose)):
            shifted = [str(Decimal(text).scaleb(-2))] if percent else []
            yield cell, f"{text}{percent}", [text, *shifted]


def chance_to_recur(claim, mean, sd):
    """The chance that a number from draws, rounded to the digits of `claim`, is `claim`."""
    half = float(Decimal((0, (1,), Decimal(claim).as_tuple().exponent))) / 2
    normal, value = NormalDist(mean, sd), float(claim)
    return normal.cdf(value + half) - normal.cdf(value - half)


def ruff(lesson, command, complaint):
    """(cell, message) of every complaint of ruff about a notebook, as the project configures it."""
    run = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--stdin-filename", lesson.path, "-"],
        input=nbformat.writes(lesson.notebook),
        capture_output=True,
        check=False,
        cwd=ROOT,
        encoding="utf-8",
    )
    for number, message in re.findall(complaint, run.stdout, re.MULTILINE):
        yield lesson.cells[int(number) - 1], message
    if run.returncode > 1:
        yield None, f"ruff: {run.stderr.strip()}"


# --- The tests --------------------------------------------------------------------------------


def rules_of(lesson):
    """The rules that a lesson has to follow."""
    return [*RULES, *([old_form_is_kept] if lesson.is_old else NEW_FORM_RULES)]


@pytest.mark.parametrize(
    ("path", "check"),
    [
        pytest.param(path, check, id=f"{path.stem}-{check.__name__}")
        for path, lesson in [*book().items(), (TEMPLATE, Lesson(TEMPLATE))]
        for check in rules_of(lesson)
    ],
)
def test_lesson(path, check):
    if found := breaches(check, Lesson(path)):
        pytest.fail("\n".join(found), pytrace=False)


def is_reworked(lesson):
    """Whether a lesson follows every rule of the new form, listed in OLD_FORM or not."""
    lesson.is_old = False
    return not any(breaches(check, lesson) for check in NEW_FORM_RULES)


def test_pages_have_no_roles_and_the_right_numbers():
    for path, text in pages().items():
        roles = set(ROLE.findall(without_code_blocks(text))) - {"kbd"}
        assert not roles, f"{path}: write links in place of {roles}"
        wrong = numbered(text, known_numbers()) != text
        assert not wrong, f"{path}: a number is wrong: run make number"


def test_the_bibliography_is_in_order():
    """Alphabetical, and no two sources are cited alike: 2014a, 2014b."""
    text = pages()[ROOT / "guide/bibliography.md"]
    assert len(bibliography()) == text.count("<a id="), "an entry has another form"
    entries, cited = [], []
    for authors, year in bibliography().values():
        letters = unicodedata.normalize("NFKD", authors.lower())
        entries.append((re.sub("[^a-z ,]", "", letters), year))
        cited.append((cited_as(authors), year))
    assert entries == sorted(entries)
    assert len(cited) == len(set(cited))


def test_the_glossary_is_in_order():
    assert glossary() == sorted(glossary(), key=str.lower)


@pytest.mark.parametrize("name", OLD_FORM)
def test_the_list_of_lessons_in_the_old_form_only_shrinks(name):
    assert ROOT / name in LESSONS, f"remove {name} from OLD_FORM: it does not exist"
    assert not is_reworked(Lesson(ROOT / name)), f"remove {name} from OLD_FORM"


def contents(table=None):
    """(page, title) of each entry of _toc.yml; title is None where none is given."""
    if table is None:
        table = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    if isinstance(table, list):
        return [entry for part in table for entry in contents(part)]
    own = [(table[k], table.get("title")) for k in ("root", "file") if k in table]
    below = [contents(part) for part in table.values() if isinstance(part, list | dict)]
    return own + [entry for part in below for entry in part]


def test_lessons_and_contents_agree():
    listed = [page for page, _ in contents()]
    lessons = [path.relative_to(ROOT).with_suffix("").as_posix() for path in LESSONS]
    for page in lessons:
        assert listed.count(page) == 1, f"list {page} once in _toc.yml"
    in_order = [page for page in listed if page in lessons]
    assert in_order == sorted(lessons), "list lessons in _toc.yml in their order"
    for page in listed:
        exists = [(ROOT / f"{page}{suffix}").is_file() for suffix in (".md", ".ipynb")]
        assert any(exists), f"_toc.yml lists {page}, which does not exist"
        assert not page.startswith("template"), (
            "the template stays out of the book: see _toc.yml"
        )


def wrong_with_day(text, lessons, further):
    """What is wrong with a day's page, given its lessons and the names of the further ones."""
    if silent := [lesson.name for lesson in lessons if not lesson.minutes]:
        yield f"no minutes in the boxes of {silent}"
        return
    core_path = [lesson for lesson in lessons if lesson.name not in further]
    if "| | Lesson | Question | Core | Exercises | Deeper |" not in text:
        yield "needs | | Lesson | Question | Core | Exercises | Deeper |"
    found = re.findall(
        r"^\| (\d\.\d+) \| \[.+\]\((\S+)\)( \*further\*)? \|.*\| (\d+) \| (\d+) \| (\d+|–) \|$",
        text,
        re.MULTILINE,
    )
    rows = []
    for lesson in lessons:
        day, file = lesson.name.split("/")
        number = f"{day[3]}.{int(file[:2])}"
        mark = " *further*" if lesson.name in further else ""
        rows.append((number, file, mark, *map(str, [*lesson.minutes, "–"][:3])))
    if found != rows:
        yield "needs these rows, in this order:\n" + "\n".join(
            f"| {number} | [...]({file}){mark} | ... | {core} | {exercises} | {deeper} |"
            for number, file, mark, core, exercises, deeper in rows
        )
    if not any(lesson.is_old for lesson in lessons):
        core = sum(lesson.minutes[0] for lesson in core_path)
        in_class = sum(lesson.class_minutes for lesson in core_path)
        if core > TEACHING or in_class > IN_CLASS:
            yield (
                f"the core path takes {core} + {in_class} minutes in class, at most "
                f"{TEACHING} + {IN_CLASS}: mark a lesson as further"
            )


@pytest.mark.parametrize(
    "day", sorted({path.parent for path in LESSONS}), ids=lambda d: d.name
)
def test_day_lists_its_lessons_with_their_minutes(day):
    further = {
        f"{page}.ipynb" for page, title in contents() if (title or "").endswith(FURTHER)
    }
    lessons = [lesson for path, lesson in book().items() if path.parent == day]
    text = (day / "index.md").read_text(encoding="utf-8")
    assert not list(wrong_with_day(text, lessons, further))


def test_lessons_have_the_agreed_names():
    for path in ROOT.glob("day*/**/*.ipynb"):
        if ".ipynb_checkpoints" not in path.parts:
            assert re.fullmatch(
                r"day\d_[a-z]+/\d\d_[a-z0-9_]+\.ipynb",
                path.relative_to(ROOT).as_posix(),
            ), (
                f"{path.relative_to(ROOT)}: name it dayN_topic/NN_topic.ipynb, in small letters"
            )


def test_every_file_and_pipe_names_its_encoding():
    """Windows reads and writes another encoding where none is named."""
    places = ["tools", "tests", "data", "conftest.py"]
    command = [sys.executable, "-m", "ruff", "check", "--preview", "--select=PLW1514"]
    run = subprocess.run(
        [*command, *places],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    for place in places:
        for path in [ROOT / place, *(ROOT / place).glob("*.py")]:
            if path.is_file():
                found = re.search(r"\btext=True,?$", path.read_text("utf-8"), re.M)
                assert not found, f"{path}: write encoding= in place of text=True"
