"""Read lessons: their cells, the directives in their Markdown, their prose, numbers and code."""

import ast
import io
import re
import tokenize
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import execute
import nbformat
import output_check
from number import CAPTION, EXERCISE, SOLUTION, places

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted(ROOT.glob("day*/[0-9][0-9]_*.ipynb"))
TEMPLATE = ROOT / "template/NN_topic.ipynb"

# Lessons that still have the form from before the core was parted from what goes deeper.
OLD_FORM = (
    "day1_bayes/01_bayes_rule.ipynb",
    "day1_bayes/02_likelihood.ipynb",
    "day1_bayes/03_prior_to_posterior.ipynb",
    "day1_bayes/04_summaries_and_prediction.ipynb",
    "day1_bayes/07_marginal_likelihood.ipynb",
    "day1_bayes/08_out_of_sample.ipynb",
    "day2_multilevel/01_why_multilevel.ipynb",
    "day2_multilevel/03_hyperpriors_and_exchangeability.ipynb",
    "day2_multilevel/04_empirical_bayes.ipynb",
    "day2_multilevel/05_hierarchical_normal.ipynb",
    "day3_lmm/01_linear_models.ipynb",
    "day3_lmm/02_probabilistic_programming.ipynb",
    "day3_lmm/03_mcmc_from_scratch.ipynb",
    "day3_lmm/04_hmc_and_diagnostics.ipynb",
    "day3_lmm/06_one_model_many_faces.ipynb",
    "day3_lmm/07_fixed_and_random.ipynb",
    "day3_lmm/08_crossed_and_nested.ipynb",
    "day3_lmm/09_beyond_repeated_measures_anova.ipynb",
)

DIRECTIVE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{(?P<name>[\w:-]+)\} *(?P<argument>[^\n]*)\n"
    r"(?P<options>(?::[\w-]+:[^\n]*\n)*)(?P<body>.*?)^(?P=fence)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
ROLE = re.compile(r"\{([\w:-]+)\}`[^`]+`")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]*)\)")
LABEL = re.compile(r'<a id="([^"]*)"></a>')
SOURCE = re.compile(r'^<a id="(\w+)"></a>(.+?) \((\d{4}[a-z]?)\)\. ', re.MULTILINE)
GATE = re.compile(r"^<!-- \{(solution-(?:start|end))\} ?(\S*) -->$", re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.])\d*\.?\d+(?:e[+-]?\d+)?(?!\w|\.?\d)", re.IGNORECASE)
MINUTES = re.compile(
    r"^\*\*Core\*\* (\d+) min · \*\*Exercises\*\* (\d+) min · "
    r"\*\*Going deeper\*\* (\d+) min · \*\*Builds on\*\* \S",
    re.MULTILINE,
)
OLD_MINUTES = re.compile(
    r"^\*\*Teaching\*\* (\d+) min · \*\*Exercises\*\* (\d+) min · \*\*Builds on\*\* \S",
    re.MULTILINE,
)
FIGURE_REPR = re.compile(r"<Figure size .*>")


class Directive(NamedTuple):
    """A MyST directive, such as an admonition, and the cell it stands in."""

    cell: "Cell"
    name: str
    argument: str
    options: dict
    body: str


class Exercise(NamedTuple):
    """An exercise, and the cell it stands in."""

    cell: "Cell"
    label: str
    level: int
    number: str
    body: str


class Solution(NamedTuple):
    """The heading of a solution, with the label of its exercise, and the cell it stands in."""

    cell: "Cell"
    label: str
    level: int
    number: str


class Weight(NamedTuple):
    """How much some cells hold, captions and the solutions of exercises left out."""

    words: int
    lines: int
    cells: int
    figures: int

    @property
    def minutes(self):
        """How long it takes to teach, as two complete readings have shown."""
        return round(self.words / 100 + self.lines / 7)


class Cell:
    """One cell of a notebook, with its place in it."""

    def __init__(self, index, node, in_solution):
        self.index, self.node, self.in_solution = index, node, in_solution
        self.id, self.kind, self.source = node.get("id"), node.cell_type, node.source
        self.metadata, self.tags = node.metadata, node.metadata.get("tags", [])
        self.outputs = node.get("outputs", [])

    def __str__(self):
        return f"cell {self.index} ({self.id})"

    @cached_property
    def directives(self):
        """The outermost directives of a Markdown cell."""
        return [
            Directive(
                self,
                match["name"],
                match["argument"].strip(),
                dict(re.findall(r"^:([\w-]+): *(.*)$", match["options"], re.MULTILINE)),
                match["body"],
            )
            for match in DIRECTIVE.finditer(self.source + "\n")
        ]

    @cached_property
    def headings(self):
        """(level, text) of each heading of a Markdown cell."""
        found = re.findall(
            r"^(#+) +(.+)$", without_code_blocks(self.source), re.MULTILINE
        )
        return [(len(marks), text.strip()) for marks, text in found]

    @cached_property
    def tree(self):
        """The syntax tree of a code cell; empty where the code does not parse, as ruff tells."""
        try:
            return ast.parse(self.source)
        except SyntaxError:
            return ast.parse("")

    @cached_property
    def figures(self):
        """The PNG images among the outputs, base64-encoded."""
        return [
            output.data["image/png"]
            for output in self.outputs
            if "image/png" in output.get("data", {})
        ]

    @cached_property
    def printed(self):
        """What the cell printed or displayed as plain text."""
        texts = (
            output.get("text") or output.get("data", {}).get("text/plain", "")
            for output in self.outputs
        )
        return FIGURE_REPR.sub("", "\n".join(texts))

    @cached_property
    def caption(self):
        """How a caption of a figure begins, if this cell is one: its label and its number."""
        return self.kind == "markdown" and CAPTION.match(self.source)

    @cached_property
    def gates(self):
        """The comments that open and close solutions: (solution-start or -end, label)."""
        return GATE.findall(self.source) if self.kind == "markdown" else []

    @cached_property
    def alt(self):
        return self.metadata.get("mystnb", {}).get("image", {}).get("alt", "")

    @cached_property
    def prose(self):
        """What a reader reads as text: Markdown without code, formulas and markup; alt text."""
        return prose(self.source) if self.kind == "markdown" else self.alt


class Lesson:
    """A notebook as the rules see it."""

    def __init__(self, path, notebook=None):
        self.path = path
        self.notebook = notebook or nbformat.read(path, as_version=4)
        self.is_template = path == TEMPLATE
        self.name = path.relative_to(ROOT).as_posix()
        self.is_old = self.name in OLD_FORM
        self.cells = list(number_cells(self.notebook.cells))
        self.code = [cell for cell in self.cells if cell.kind == "code"]
        self.markdown = [cell for cell in self.cells if cell.kind == "markdown"]

    def directives(self, name):
        """All directives of that name, in order."""
        return [
            found
            for cell in self.markdown
            for found in cell.directives
            if found.name == name
        ]

    @cached_property
    def record(self):
        """What tests/recorded holds of this lesson: the spread of its numbers over seeds."""
        return execute.read_record(self.path)

    def moving_numbers(self, cell):
        """(value, mean, sd) of each printed number of a cell that moves with the samplers' seeds.

        Numbers that do not move have a sd of None.
        """
        spread = self.record["cells"].get(cell.id, {}).get("spread", {})
        kept, _, _ = output_check.clean(cell.outputs)
        for number in output_check.numbers(output_check.fragments(kept)):
            moves = spread.get(number.fragment.where) or []
            mean_and_sd = moves[number.place] if number.place < len(moves) else None
            yield number.text.replace(",", ""), *(mean_and_sd or (None, None))

    @cached_property
    def links(self):
        """(cell, text, target) of every link, such as [prior](../guide/glossary.md#prior)."""
        return [
            (cell, *found)
            for cell in self.markdown
            for found in LINK.findall(cell.source)
        ]

    @cached_property
    def labels(self):
        """(cell, label) of everything in the lesson that has an anchor to refer to."""
        return [
            (cell, label)
            for cell in self.markdown
            for label in LABEL.findall(cell.source)
        ]

    @cached_property
    def exercises(self):
        """The exercises, in order."""
        return [
            Exercise(
                cell,
                found["label"],
                len(found["marks"]),
                found["number"],
                cell.source[found.end() :].partition("\n")[2],
            )
            for cell in self.markdown
            for found in EXERCISE.finditer(cell.source)
        ]

    @cached_property
    def solutions(self):
        """The headings of solutions, in order."""
        return [
            Solution(cell, found["label"], len(found["marks"]), found["number"])
            for cell in self.markdown
            if (found := SOLUTION.fullmatch(cell.source))
        ]

    @cached_property
    def fitters(self):
        """What runs MCMC here: pm.sample and `fit` of Bambi models; functions that call these."""
        nodes = [node for cell in self.code for node in ast.walk(cell.tree)]
        models = {
            f"{name}.fit"
            for node in nodes
            if isinstance(node, ast.Assign)
            and ast.unparse(node.value).startswith("bmb.Model(")
            for name in names(node, ast.Store)
        }
        direct = {"pm.sample"} | models
        wrappers = {
            node.name
            for node in nodes
            if isinstance(node, ast.FunctionDef)
            and any(function in direct for _, function in calls(node))
        }
        return direct, wrappers

    def is_fit(self, function):
        """Whether a call of this function runs MCMC itself."""
        return function in self.fitters[0] or bool(
            re.match(r"bmb\.Model\(.*\)\.fit$", function)
        )

    def fits_in(self, statement):
        """The names that a statement gives to fits; the code itself for a fit without a name."""
        if isinstance(statement, ast.FunctionDef):
            return set()
        found = set()
        for node in ast.walk(statement):
            if isinstance(node, ast.Assign | ast.Expr):
                made = [
                    f for _, f in calls(node) if self.is_fit(f) or f in self.fitters[1]
                ]
                if (
                    made
                    and isinstance(node, ast.Expr)
                    and ast.unparse(node).startswith(made[0])
                ):
                    found.add(f"{made[0]}(...)")
                elif made:
                    found |= names(node, ast.Store) | changed_in_place(node)
        return found

    def section(self, title):
        """The cells under the heading `title`, up to the next heading of its level or above."""
        cells, depth = [], 0
        for cell in self.cells:
            for level, text in cell.headings if cell.kind == "markdown" else []:
                if text == title:
                    depth = level
                elif level <= depth:
                    depth = 0
            if depth:
                cells.append(cell)
        return cells

    @cached_property
    def core(self):
        """The cells before `## Going deeper`."""
        return self.cells[: len(self.cells) - len(self.deeper)]

    @cached_property
    def deeper(self):
        """The cells from `## Going deeper` to the end."""
        starts = (c.index for c in self.markdown if (2, "Going deeper") in c.headings)
        return self.cells[next(starts, len(self.cells)) :]

    @cached_property
    def minutes(self):
        """The minutes in its box: core, exercises, going deeper. Old form: the first two."""
        form = OLD_MINUTES if self.is_old else MINUTES
        found = form.search(self.cells[1].source)
        return [int(number) for number in found.groups()] if found else None

    @cached_property
    def class_minutes(self):
        """The minutes of the exercises that are marked for class."""
        prose = "\n".join(cell.source for cell in self.markdown)
        return sum(
            int(n) for n in re.findall(r"^\*In class, (\d+) min\.\*", prose, re.M)
        )


def weigh(cells):
    """The weight of some cells of a lesson."""
    words = lines = code = figures = 0
    for cell in cells:
        if cell.in_solution or cell.caption:
            continue
        if cell.kind == "markdown":
            words += len(LINK.sub(r"\1", cell.source).split())
        else:
            lines += sum(bool(line.strip()) for line in cell.source.splitlines())
            code += 1
            figures += bool(cell.figures)
    return Weight(words, lines, code, figures)


def cell_source(lesson, cell):
    """The code of one cell of a lesson, such as day4_glmm/17_basis_functions.ipynb, by its id."""
    cells = nbformat.read(ROOT / lesson, as_version=4).cells
    return next(node.source for node in cells if node.id == cell)


def number_cells(nodes):
    """Yield each cell with its index, knowing which stand inside a gated solution."""
    in_solution = False
    for index, node in enumerate(nodes):
        cell = Cell(index, node, in_solution)
        for gate, _ in cell.gates:
            cell.in_solution, in_solution = True, gate == "solution-start"
        yield cell


def without_code_blocks(markdown):
    """Markdown without its fenced code, such as ```python ... ```."""
    return re.sub(
        r"^(`{3,})\w[^\n]*\n.*?^\1[ \t]*$", "", markdown, flags=re.MULTILINE | re.DOTALL
    )


def prose(markdown):
    """Markdown without code, formulas, link addresses, comments and directives' options."""
    text = without_code_blocks(markdown)
    text = re.sub(
        r"^(`{3,}|:{3,})\{(math|code|code-block)\}.*?^\1[ \t]*$",
        "",
        text,
        flags=re.MULTILINE | re.DOTALL,
    )
    text = re.sub(r"^(?:`{3,}|:{3,})(?:\{[\w:-]+\})?", "", text, flags=re.MULTILINE)
    text = re.sub(r"^:[\w-]+:.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}", " ", text, flags=re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", " ", text, flags=re.DOTALL)
    text = re.sub(r"(\{[\w:-]+\})?`[^`]*`", " ", text)
    text = LINK.sub(r"\1", text)
    return re.sub(r"<[^>]+>|https?://\S+", " ", text)


def sentences(text):
    """How many sentences a text has."""
    text = re.sub(r"\b(e\.g|i\.e|cf|vs|pp?|ch|Fig|et al)\.", r"\1", text)
    return len(re.findall(r"[.!?][\"'”’)*_]*(?=\s|$)", text))


def slug(heading):
    """The anchor of a heading, as MyST makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def numbers(text):
    """The numbers in a text, without sign, as they are written: 0.10 is not 0.1."""
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    return set(NUMBER.findall(text))


def numbers_in_code(source):
    """The number literals of some Python code."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return set()
    literals = "\n".join(
        token.string for token in tokens if token.type == tokenize.NUMBER
    )
    return numbers(literals)


def agrees(claim, source):
    """Whether `source`, rounded to the digits of `claim`, can be `claim`, which has no more digits.

    A source printed with more digits was itself rounded, so half a unit of its last digit is free.
    """
    claim, source = Decimal(claim), Decimal(source)
    claimed, given = claim.as_tuple().exponent, source.as_tuple().exponent
    if given >= claimed:
        return given == claimed and claim == source
    return (
        abs(claim - source)
        <= (Decimal((0, (1,), claimed)) + Decimal((0, (1,), given))) / 2
    )


@cache
def pages():
    """Path and text of every Markdown page of the book."""
    found = [ROOT / "index.md", *ROOT.glob("guide/*.md"), *ROOT.glob("day*/*.md")]
    return {path: path.read_text(encoding="utf-8") for path in found if path.exists()}


@cache
def book():
    """Every lesson of the book, read once."""
    return {path: Lesson(path) for path in LESSONS}


def anchors(markdown):
    """What a link to a Markdown text may name after `#`: its labels, and slugs of headings."""
    headings = re.findall(r"^#+ +(.+)$", without_code_blocks(markdown), re.MULTILINE)
    return set(LABEL.findall(markdown)) | {
        slug(LABEL.sub("", heading)) for heading in headings
    }


@cache
def anchors_of(path):
    """The anchors of a page or lesson of the book."""
    if path in pages():
        return anchors(pages()[path])
    cells = book()[path].markdown if path in book() else []
    return {anchor for cell in cells for anchor in anchors(cell.source)}


@cache
def labels_elsewhere(path):
    """The labels of the book's pages and of its lessons other than `path`."""
    labels = {label for text in pages().values() for label in LABEL.findall(text)}
    for other, lesson in book().items():
        if other != path:
            labels |= {label for _, label in lesson.labels}
    return labels


@cache
def known_numbers():
    """The number of each figure and exercise of the book by its label."""
    found = {}
    for path, lesson in book().items():
        found |= places(path, [cell.source for cell in lesson.markdown])
    return found


@cache
def bibliography():
    """The key of each source of the bibliography, with its authors and year as written there."""
    text = pages().get(ROOT / "guide/bibliography.md", "")
    return {
        key: (authors.removesuffix(" (ed.)").removesuffix(" (eds)"), year)
        for key, authors, year in SOURCE.findall(text)
    }


def cited_as(authors):
    """What the text calls the authors "Gelman, Andrew and Jennifer Hill": Gelman and Hill."""
    surname, *others = re.split(r", | and ", authors)
    if len(others) > 2:
        return f"{surname} et al."
    second = (
        re.search(r"(?:\b(?:[a-z]+|De|Van|Von) )*\S+$", others[1])[0]
        if others[1:]
        else ""
    )
    return f"{surname} and {second}" if second else surname


@cache
def glossary():
    """The terms of the glossary."""
    text = pages().get(ROOT / "guide/glossary.md", "")
    return re.findall(r"^### (.+)$", text, re.MULTILINE)


def names(node, context):
    """The variable names loaded or stored (`ast.Load`, `ast.Store`) anywhere in a syntax tree."""
    return {
        n.id
        for n in ast.walk(node)
        if isinstance(n, ast.Name) and isinstance(n.ctx, context)
    }


def calls(tree):
    """Every call in a syntax tree: its node and its function as written, such as `pm.sample`."""
    return [(n, ast.unparse(n.func)) for n in ast.walk(tree) if isinstance(n, ast.Call)]


def keywords(call):
    """The keyword arguments of a call."""
    return {keyword.arg: keyword.value for keyword in call.keywords}


def changed_in_place(statement):
    """The names a statement changes without assigning to them: `a[0] = 1`, `a.append(1)`."""
    targets = [
        node
        for node in ast.walk(statement)
        if isinstance(node, ast.Subscript | ast.Attribute)
        and isinstance(node.ctx, ast.Store)
    ]
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        targets.append(statement.value.func)
    return {
        owner(target)
        for target in targets
        if isinstance(target, ast.Subscript | ast.Attribute)
    }


def owner(node):
    """The name at the root of an expression such as `table.loc[0].values`, if there is one."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return getattr(node, "id", None)
