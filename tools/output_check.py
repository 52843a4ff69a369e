"""Compare the stored outputs of a lesson's cell with fresh ones.

The rule is stated in tests/README.md. In short: what a reader sees must be the same again, and so
must what the probe reports of figures, models and fits. Text must be equal. A number must be equal
as printed unless it moved when `make execute` ran the lesson with other seeds of the samplers; then
it may move as far as it did there (`tests/recorded/`, one file a lesson).

`conftest.py` uses `compare` for nbval; `tools/execute.py` uses the pieces it is made of to store
outputs and to measure the spread.
"""

import difflib
import math
import re
from collections import Counter
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import probe

BOUND = 5.4  # how many standard deviations a number may lie from the mean of the recorded runs
LOOKS = 3  # runs with different seeds that must agree before an alarm counts
MIN_ESS = 400
MAX_RHAT = 1.01

NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:[1-9]\d{0,2}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w|\.\d)"
)
NO_NUMBER = re.compile(r"(?<![\w.])(?:nan|NaN|NaT|<NA>|[-+]?inf|None)(?![\w.])")
REASON = re.compile(r"# (?:NaN|inf|None): \S+")
SWITCH = re.compile(
    r"^\s*#+\s*(?:NBVAL|PYTEST_VALIDATE)_\w+|^nbval-|^pytest-validate-|^raises-exception$"
)

# What draws decide, and another seed may put right: PyMC's warnings of a fit, and its verdict.
OF_A_FIT = re.compile(
    r"There (?:was|were) \d+ divergences? after tuning\..*"
    r"|The (?:rhat statistic|effective sample size per chain) is .*"
    r"|Chain \d+ reached the maximum tree depth\..*"
)
VERDICT = re.compile(r"\bproblems: (?:True|False)\b")

# What samplers write to stderr when all is well. Anything else there is a warning to be removed.
STEP = (
    r"(?:NUTS|HamiltonianMC|Metropolis|DEMetropolisZ?|(?:Binary|Categorical)?\w*Metropolis|Slice"
    r"|CategoricalGibbs\w*|BinaryGibbs\w*)(?:\[\w+\])?: \[.*\]"
)
SAMPLER_LOG = re.compile(
    rf">*{STEP}"
    r"|>*CompoundStep"
    r"|Sampling: \[.*\]"
    r"|Auto-assigning NUTS sampler\.\.\."
    r"|Initializing NUTS using .*\.\.\."
    r"|Initializing SMC sampler\.\.\."
    r"|(?:Multiprocess|Sequential|Population) sampling \(\d+ chains?(?: in \d+ jobs?)?\)"
    r"|Sampling \d+ chains?(?: sequentially| in parallel| in \d+ jobs?)?"
    r"|Sampling \d+ chains? for .* took .* seconds\."
    r"|Finished \[100%\]:.*"
    r"|Modeling the probability that \w+==\S+"  # Bambi, of a Bernoulli family
    r"|\s*\d+%\|.*\|.*"
)
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
BAR = re.compile(
    r"[━╸╺█]{3}|Progress\b.*\bElapsed", re.DOTALL
)  # or the head of a table of bars


@dataclass(frozen=True)
class Fragment:
    """One piece of an output: a line of text, a cell of a table, or a line of the probe's report.

    `where` says in words where it stands, once in a cell; `column` is the table's column name, or
    ""; `hidden` marks what the probe reports and no reader sees.
    """

    where: str
    column: str
    text: str
    hidden: bool = False


@dataclass(frozen=True)
class Number:
    """A printed number: its text, the fragment it stands in, and its place among its numbers."""

    text: str
    fragment: Fragment
    place: int

    @property
    def value(self):
        return float(self.text.replace(",", ""))

    @property
    def exponent(self):
        """The power of ten of the last printed place (2.40 -> -2; 3e-05 -> -5; 12 -> 0)."""
        mantissa, _, exponent = self.text.lower().partition("e")
        return int(exponent or 0) - len(mantissa.partition(".")[2])

    @property
    def step(self):
        """One unit in the last printed place (2.40 -> 0.01; 3e-05 -> 1e-05)."""
        return 10.0**self.exponent


@dataclass(frozen=True)
class Problem:
    """What is wrong with a cell. `where` is set if another seed might put it right."""

    message: str
    where: tuple | None = None

    def __str__(self):
        return self.message


# --- What a cell shows ------------------------------------------------------------------------


def clean(outputs):
    """What a stored notebook keeps of a cell's outputs, what the probe reports, and warnings.

    Progress bars (widgets, and the empty outputs they leave) and the samplers' log go; streams of
    the same name that follow one another become one.

    Returns
    -------
    (list of outputs, dict, str) : the outputs a reader is shown, in order; the probe's report; and
        every unexpected line of stderr.
    """
    kept, report, warnings = [], {}, []
    for output in outputs:
        output = type(output)(output)
        if output["output_type"] == "stream" and output["name"] == "stderr":
            lines = re.split(r"[\r\n]", ANSI.sub("", output["text"]))
            warnings += [
                line
                for line in lines
                if line.strip() and not SAMPLER_LOG.fullmatch(line.strip())
            ]
        elif output["output_type"] == "stream":
            last = kept[-1] if kept else {}
            if last.get("output_type") == "stream" and last["name"] == output["name"]:
                last["text"] += output["text"]
            else:
                kept.append(output)
        elif output["output_type"] == "error":
            kept.append(output)
        else:
            data = dict(output["data"])
            report |= data.pop(probe.MIME, {})
            if data and not _is_progress(output["output_type"], data):
                kept.append(type(output)({**output, "data": data}))
    return kept, report, "\n".join(warnings)


def _is_progress(kind, data):
    """Whether an output is a progress display: a widget, drawn bars, or a frame without them."""
    if "application/vnd.jupyter.widget-view+json" in data:
        return True
    if kind != "display_data" or any(name.startswith("image/") for name in data):
        return False
    shown = "".join(text for _, _, text in _read_html(str(data.get("text/html", ""))))
    shown += str(data.get("text/plain", ""))
    return not shown.strip() or bool(BAR.search(shown))


class _Html(HTMLParser):
    """Reads HTML: a list of (row number, tag, text); row None and tag "" outside table cells."""

    def __init__(self):
        super().__init__()
        self.found = []
        self._row, self._cell, self._silent = -1, None, False

    def handle_starttag(self, tag, attrs):
        self._silent = tag in ("style", "script")
        if tag == "tr":
            self._row += 1
        elif tag in ("td", "th"):
            self._cell = [self._row, tag, ""]
            self.found.append(self._cell)

    def handle_endtag(self, tag):
        self._silent = False
        if tag in ("td", "th"):
            self._cell = None

    def handle_data(self, data):
        if self._cell:
            self._cell[2] += data
        elif data.strip() and not self._silent:
            self.found.append([None, "", data])


def _read_html(html):
    parser = _Html()
    parser.feed(html)
    return parser.found


def fragments(outputs, report=None):
    """The pieces of cleaned outputs, in order, each with a place of its own; then the report's.

    A bundle that holds HTML is read from the HTML; its text/plain twin, whose line breaks depend
    on the widths of the numbers, says the same and is passed over.
    """
    found = []
    for number, output in enumerate(outputs, start=1):
        where = f"output {number}, " if len(outputs) > 1 else ""
        if output["output_type"] == "stream":
            pieces = _lines(output["text"])
        elif output["output_type"] == "error":
            pieces = [("error", "", f"{output['ename']}: {output['evalue']}")]
        else:
            pieces = _bundle(output["data"])
        found += [(where + place, column, text) for place, column, text in pieces]
    times, unique = Counter(), []
    for where, column, text in found:
        times[where] += 1
        place = f"{where} ({times[where]})" if times[where] > 1 else where
        unique.append(Fragment(place, column, text))
    hidden = sorted((report or {}).items())
    return unique + [Fragment(where, "", text, True) for where, text in hidden]


def _bundle(data):
    pieces = []
    for mime in sorted(data):
        if mime.startswith("image/"):
            pieces.append(("figure", "", mime))
        elif mime == "text/html":
            pieces += _table(data[mime])
        elif mime != "text/plain" or "text/html" not in data:
            pieces += _lines(data[mime])
    return pieces


def _lines(text):
    lines = enumerate(str(text).splitlines(), start=1)
    return [
        (f"line {i}", "", " ".join(line.split())) for i, line in lines if line.strip()
    ]


def _table(html):
    """The pieces of some HTML: cells of tables, named by row and column, and the text around."""
    read, pieces, header = _read_html(html), [], []
    rows = {}
    for row, tag, text in read:
        if row is not None:
            rows.setdefault(row, []).append((tag, " ".join(text.split())))
    done = set()
    for row, _, text in read:
        if row is None:
            pieces += [("text", "", line) for _, _, line in _lines(text)]
        elif row not in done:
            done.add(row)
            texts = [cell for _, cell in rows[row]]
            if all(tag == "th" for tag, _ in rows[row]):
                if not header or any(texts[1:]):
                    header = texts
                pieces.append(("table header", "", " | ".join(texts)))
                continue
            label = " ".join(cell for tag, cell in rows[row] if tag == "th") or str(row)
            for place, cell in enumerate(texts):
                right = len(texts) - place
                column = header[-right] if right <= len(header) else ""
                where = f"row {label}, column {column or 'index'}"
                pieces.append((where, column, cell))
    return pieces


def words(found):
    """The texts of a list of fragments with every number replaced by #."""
    return [NUMBER.sub("#", fragment.text) for fragment in found]


def numbers(found):
    """Every number printed in a list of fragments, in order."""
    return [
        Number(text, fragment, place)
        for fragment in found
        for place, text in enumerate(NUMBER.findall(fragment.text))
    ]


# --- The comparison ---------------------------------------------------------------------------


def allowed_difference(step, sd, runs):
    """How far a fresh number may lie from the mean of the recorded runs.

    A new run's statistic and the mean of `runs` recorded ones differ with standard deviation
    sd * sqrt(1 + 1 / runs). One step of the last printed place is added for the rounding.
    """
    allowed = step + BOUND * sd * math.sqrt(1 + 1 / runs)
    return allowed * (1 + 1e-9)  # 0.17 - 0.16 is a little more than 0.01 to a computer


def problems_of(cell, fresh, record, source=None):
    """Compare a stored cell with its fresh outputs, by the record of its lesson.

    `source` is the code that gave them, where it is not the cell's own.
    """
    return compare(
        cell.outputs,
        fresh,
        cell.metadata.get("tags", []),
        record["cells"].get(cell.get("id")),
        record["runs"],
        cell.source if source is None else source,
    )


def compare(stored, fresh, tags=(), record=None, runs=1, source=""):
    """Compare a cell's stored outputs with fresh ones.

    Parameters
    ----------
    stored, fresh : lists of notebook outputs
    tags : the cell's tags; `shows-failure` allows a sampler's warnings
    record : what is recorded of the cell: {"report": the probe's report of the stored run,
        "spread": {where: [None or [mean, sd] for each number there], or None if even the words
        there change with the seed}}
    runs : how many runs were recorded
    source : the cell's code, which says why a NaN belongs where it does

    Returns
    -------
    list of Problem : what is wrong, one clear line each; empty if nothing is.
    """
    record = record or {}
    spread = record.get("spread", {})
    stored, _, stored_stderr = clean(stored)
    fresh, report, fresh_stderr = clean(fresh)
    problems, warned = [], []
    if fresh_stderr and "shows-failure" not in tags:
        warned = [_warning(fresh_stderr, tags)]
    if any(SWITCH.search(text) for text in [*source.splitlines(), *tags]):
        problems.append("the check cannot be switched off: remove the comment or tag")
    if stored_stderr:
        problems.append(
            f"the stored cell holds stderr: {stored_stderr!r}; run `make execute`"
        )
    if any(output["output_type"] == "error" for output in stored):
        problems.append(
            "the stored output is an error; mend the cell and run `make execute`"
        )
    if fresh and not stored:
        problems.append(
            "the stored output is empty, the fresh one is not; run `make execute`"
        )
        return [Problem(problem) for problem in problems] + warned
    old = fragments(stored, record.get("report"))
    new = fragments(fresh, report)
    if not REASON.search(source):
        for fragment in new:
            if not fragment.hidden and (found := NO_NUMBER.search(fragment.text)):
                problems.append(
                    f"{fragment.where}: {found[0]} in the output; mend it, or say in the cell why "
                    f"it belongs there: `# NaN: ...`"
                )
    problems = [Problem(problem) for problem in problems] + warned
    old, new = (
        [f for f in side if not _depends_on_luck(f, tags, spread)]
        for side in (old, new)
    )
    if "mcmc" in tags:
        problems += _verdict_differences(old, new)
        old, new = ([_without_verdict(f) for f in side] for side in (old, new))
    if words(old) != words(new):
        return problems + _text_differences(old, new)
    for before, after in zip(numbers(old), numbers(new)):
        problems += _number_differences(before, after, tags, spread, runs)
    moved = any(spread.values())
    if not problems and not moved and _raw(stored) != _raw(fresh):
        problems.append(
            Problem("the layout differs (white space or markup); run `make execute`")
        )
    return problems


def _warning(stderr, tags):
    """The problem that a cell warns; in a cell of draws another seed may do without."""
    message = f"the cell now warns: {stderr!r}; remove the cause of the warning"
    of_a_fit = all(OF_A_FIT.fullmatch(line.strip()) for line in stderr.splitlines())
    return Problem(message, ("warning",) if "mcmc" in tags and of_a_fit else None)


def _verdict_differences(old, new):
    """The verdicts on fits that are not as stored, where both outputs have one."""
    return [
        Problem(
            f"{after.where}: stored {before.text!r}, fresh {after.text!r}",
            (after.where, "verdict"),
        )
        for before, after in zip(old, new)
        if before.text != after.text
        and _without_verdict(before).text == _without_verdict(after).text
    ]


def _without_verdict(fragment):
    return replace(fragment, text=VERDICT.sub("problems: ?", fragment.text))


def _depends_on_luck(fragment, tags, spread):
    """Whether even the words of a fragment may be others with other seeds.

    So they were when they were recorded; or it reports a fit that fails on purpose; or it is the
    numbers along an axis whose limits move.
    """
    if spread.get(fragment.where, ()) is None:
        return True
    if not fragment.hidden:
        return False
    if fragment.where.startswith("fit "):
        return "shows-failure" in tags
    axis = fragment.where.removesuffix(", ticks")
    plain = fragment.text.replace("mathdefault", "")
    return (
        axis != fragment.where and axis in spread and not re.search("[a-zA-Z]", plain)
    )


def _raw(outputs):
    return [
        {
            k: v
            for k, v in output.get("data", {"text": output.get("text")}).items()
            if "image" not in k
        }
        for output in outputs
    ]


def _text_differences(old, new):
    """The first differences between two lists of fragments whose texts do not match."""
    matcher = difflib.SequenceMatcher(a=words(old), b=words(new), autojunk=False)
    problems = []
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind == "equal":
            continue
        was = "; ".join(f"{f.where}: {f.text!r}" for f in old[i1:i2][:6]) or "nothing"
        now = "; ".join(f"{f.where}: {f.text!r}" for f in new[j1:j2][:6]) or "nothing"
        message = f"text differs: stored {was}; fresh {now}; allowed difference none"
        problems.append(Problem(message))
    return problems[:5]


def _number_differences(before, after, tags, spread, runs):
    """What is wrong with one number: nothing, or one problem."""
    where = (after.fragment.where, after.place)
    bound = None if "shows-failure" in tags else sampling_bound(after)
    if bound:
        message = f"{after.fragment.where}: fresh {after.text}, {bound}"
        return [Problem(message, where)]
    if bound == "" or before.text == after.text:
        return []
    places = spread.get(before.fragment.where, [])
    moves = places[before.place] if before.place < len(places) else None
    if moves is None:
        if (
            before.fragment.hidden
            and abs(before.value - after.value) <= before.step * 1.01
        ):
            return []  # the last of six digits may differ between machines
        why = f"the same in all {runs} recorded runs"
        return [Problem(_line(before, after, 0, why), where)]
    if abs(after.exponent - before.exponent) > 1 and not before.fragment.hidden:
        why = "more than one digit was lost or added"
        return [Problem(_line(before, after, 0, why), where)]
    mean, sd = moves
    allowed = allowed_difference(max(before.step, after.step), sd, runs)
    why = f"{runs} recorded runs: mean {mean:.4g}, Monte Carlo sd {sd:.2g}"
    if abs(before.value - mean) > allowed:
        return [
            Problem(_line(before, after, allowed, f"the stored value is off; {why}"))
        ]
    if abs(after.value - mean) > allowed:
        return [Problem(_line(before, after, allowed, why), where)]
    return []


def confirmed(problems, looks):
    """The problems that count: those that no seed can put right, and those seen in every run.

    `looks` are the problems of the same cell in further runs, or callables that give them: they
    are only asked while something is still in doubt.
    """
    doubtful = {problem.where for problem in problems if problem.where}
    for look in looks:
        if not doubtful:
            break
        seen = look() if callable(look) else look
        doubtful &= {problem.where for problem in seen}
    return [
        problem
        for problem in problems
        if not problem.where or problem.where in doubtful
    ]


def sampling_bound(number):
    """ESS and R-hat are held to a bound, not to their old value.

    Returns None for any other number, "" if the bound holds, else what is wrong.
    """
    column = number.fragment.column
    if column.startswith("ess_"):
        return "" if number.value >= MIN_ESS else f"required at least {MIN_ESS}"
    if column == "r_hat":
        return "" if number.value <= MAX_RHAT else f"required at most {MAX_RHAT}"
    return None


def _line(before, after, allowed, why):
    difference = abs(after.value - before.value)
    return (
        f"{before.fragment.where}: stored {before.text}, fresh {after.text}, "
        f"difference {difference:.4g}, allowed difference {allowed:.4g} ({why})"
    )
