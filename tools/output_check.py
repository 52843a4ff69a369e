"""Compare the stored outputs of a lesson's cell with fresh ones.

The rule is stated in tests/README.md. In short: what a reader sees must be the same again. Text
must be equal. Numbers must be equal as printed, except in cells tagged `mcmc`: there every number
may move as far as Monte Carlo error moves it, which `make execute` measured by running the lesson
with other seeds and stored in the cell's metadata (`monte_carlo`).

`conftest.py` uses `compare` for nbval; `tools/execute.py` uses the pieces it is made of to store
outputs and to measure the spread.
"""

import difflib
import math
import re
from dataclasses import dataclass
from html.parser import HTMLParser

from scipy.stats import t as student_t

FALSE_ALARM = 1e-7  # chance, per number and run, that a correct run is refused
MIN_ESS = 400
MAX_RHAT = 1.01

NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w|\.\d)")

# What samplers write to stderr when all is well. Anything else there is a warning to be removed.
SAMPLER_LOG = re.compile(
    r"(NUTS|Compound|Metropolis|Slice|CategoricalGibbs|BinaryGibbs)\S*: \[.*\]"
    r"|>?(NUTS|Metropolis|Slice|CategoricalGibbs\S*|BinaryGibbs\S*): \[.*\]"
    r"|Sampling: \[.*\]"
    r"|Sampling \d+ chains? for .* took .* seconds\."
    r"|(Auto-assigning|Initializing|Multiprocess|Sequential|Initializing SMC|Modeling the).*"
    r"|(Compiling|Running chain \d+|Sampling|Finished).*"
    r"|\s*\d+%\|.*"
)
# How the progress tables of PyMC and nutpie begin where no widget shows them.
RICH = (
    '<pre style="white-space:pre;overflow-x:auto;line-height:normal;font-family:Menlo'
)
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Fragment:
    """One printed piece of an output: a line of text, or a cell of a table.

    `where` says in words where it stands; `column` is the table's column name, or "".
    """

    where: str
    column: str
    text: str


@dataclass(frozen=True)
class Number:
    """A printed number: its text, and the fragment it stands in."""

    text: str
    fragment: Fragment

    @property
    def value(self):
        return float(self.text)

    @property
    def step(self):
        """One unit in the last printed place (2.40 -> 0.01; 3e-05 -> 1e-05)."""
        mantissa, _, exponent = self.text.lower().partition("e")
        decimals = len(mantissa.partition(".")[2])
        return 10.0 ** (int(exponent or 0) - decimals)

    @property
    def is_integer(self):
        return self.text.lstrip("+-").isdigit()


def clean(outputs):
    """What a stored notebook keeps of a cell's outputs, and what of stderr is not sampler log.

    Progress bars (widgets, and the empty outputs they leave) and the samplers' log go; streams of
    the same name become one, as nbval sees them.

    Returns
    -------
    (list of outputs, str) : the outputs a reader is shown, and every unexpected line of stderr.
    """
    kept, stdout, warnings = [], None, []
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] == "stderr":
            lines = re.split(r"[\r\n]", ANSI.sub("", output["text"]))
            warnings += [
                line
                for line in lines
                if line.strip() and not SAMPLER_LOG.fullmatch(line)
            ]
        elif output["output_type"] == "stream":
            if stdout is None:
                stdout = type(output)(output)
                kept.append(stdout)
            else:
                stdout["text"] += output["text"]
        elif not _is_progress(output):
            kept.append(output)
    return kept, "\n".join(warnings)


def _is_progress(output):
    data = output.get("data", {})
    if "application/vnd.jupyter.widget-view+json" in data:
        return True
    if data.get("text/html", "").startswith(RICH):
        return True
    return output["output_type"] == "display_data" and not any(
        str(text).strip() for text in data.values()
    )


class _Tables(HTMLParser):
    """Reads the rows of HTML tables: a list of rows, each a list of (tag, text)."""

    def __init__(self):
        super().__init__()
        self.rows = []
        self._open = None

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self._open = tag
            self.rows[-1].append([tag, ""])

    def handle_endtag(self, tag):
        if tag == self._open:
            self._open = None

    def handle_data(self, data):
        if self._open:
            self.rows[-1][-1][1] += data


def fragments(outputs):
    """The printed pieces of cleaned outputs, in order: table cells, or lines of text.

    A bundle that holds an HTML table is read from the HTML; its text/plain twin, whose line breaks
    depend on the widths of the numbers, says the same and is passed over.
    """
    found = []
    for output in outputs:
        if output["output_type"] == "stream":
            found += _lines(output["text"])
        elif output["output_type"] == "error":
            found.append(
                Fragment("error", "", f"{output['ename']}: {output['evalue']}")
            )
        else:
            data = output["data"]
            if "<table" in data.get("text/html", ""):
                found += _table(data["text/html"])
            else:
                for mime in sorted(data):
                    if mime.startswith("image/"):
                        found.append(Fragment("figure", "", mime))
                    else:
                        found += _lines(data[mime])
    return found


def _lines(text):
    lines = enumerate(str(text).splitlines(), start=1)
    return [
        Fragment(f"line {i}", "", " ".join(line.split()))
        for i, line in lines
        if line.strip()
    ]


def _table(html):
    parser = _Tables()
    parser.feed(html)
    header, found = [], []
    for number, row in enumerate(parser.rows):
        texts = [" ".join(text.split()) for _, text in row]
        if all(tag == "th" for tag, _ in row):
            if not header or any(texts[1:]):
                header = texts
            found.append(Fragment("table header", "", " | ".join(texts)))
            continue
        label = " ".join(
            text for (tag, _), text in zip(row, texts) if tag == "th"
        ) or str(number)
        for place, text in enumerate(texts):
            from_right = len(row) - place
            column = header[-from_right] if from_right <= len(header) else ""
            found.append(
                Fragment(f"row {label}, column {column or 'index'}", column, text)
            )
    return found


def words(found):
    """The texts of a list of fragments with every number replaced by #."""
    return [NUMBER.sub("#", fragment.text) for fragment in found]


def numbers(found):
    """Every number printed in a list of fragments, in order."""
    return [
        Number(text, fragment)
        for fragment in found
        for text in NUMBER.findall(fragment.text)
    ]


def allowed_difference(step, sd, runs):
    """How far a fresh number may lie from the mean of the recorded runs.

    A new run's statistic and the mean of `runs` recorded ones differ with standard deviation
    sd * sqrt(1 + 1 / runs); sd is estimated with runs - 1 degrees of freedom, hence Student's t.
    One step of the last printed place is added for the rounding.
    """
    quantile = student_t.isf(FALSE_ALARM / 2, runs - 1)
    allowed = step + quantile * sd * math.sqrt(1 + 1 / runs)
    return allowed * (1 + 1e-9)  # 0.17 - 0.16 is a little more than 0.01 to a computer


def compare(stored, fresh, tags=(), record=None):
    """Compare a cell's stored outputs with fresh ones.

    Parameters
    ----------
    stored, fresh : lists of notebook outputs
    tags : the cell's tags; `mcmc` allows Monte Carlo error, `shows-failure` a sampler's warnings
    record : the cell's `monte_carlo` metadata: {"runs": int, "mean": [...], "sd": [...]}, one mean
        and one sd per printed number of the stored outputs (only in `mcmc` cells)

    Returns
    -------
    list of str : what is wrong, one clear line each; empty if nothing is.
    """
    stored, stored_stderr = clean(stored)
    fresh, fresh_stderr = clean(fresh)
    problems = []
    if stored_stderr:
        problems.append(
            f"the stored cell holds stderr: {stored_stderr!r}; run `make execute`"
        )
    if fresh_stderr and "shows-failure" not in tags:
        problems.append(
            f"the cell now warns: {fresh_stderr!r}; remove the cause of the warning"
        )
    if any(output["output_type"] == "error" for output in stored):
        problems.append(
            "the stored output is an error; mend the cell and run `make execute`"
        )
    if fresh and not stored:
        problems.append(
            "the stored output is empty, the fresh one is not; run `make execute`"
        )
        return problems
    old, new = fragments(stored), fragments(fresh)
    if words(old) != words(new):
        return problems + _text_differences(old, new)
    if "mcmc" in tags:
        return problems + _monte_carlo_differences(
            numbers(old), numbers(new), tags, record
        )
    for before, after in zip(numbers(old), numbers(new)):
        if before.text != after.text:
            problems.append(_line(before, after, 0, "a deterministic cell"))
    if not problems and _raw(stored) != _raw(fresh):
        problems.append(
            "the layout differs (white space or markup); run `make execute`"
        )
    return problems


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
        problems.append(
            f"text differs: stored {was}; fresh {now}; allowed difference none"
        )
    return problems[:5]


def _monte_carlo_differences(old, new, tags, record):
    if not old:
        return []
    if not record or len(record["mean"]) != len(old):
        return [
            "an mcmc cell without its recorded seeds (metadata monte_carlo); run `make execute`"
        ]
    runs, problems = record["runs"], []
    for before, after, mean, sd in zip(old, new, record["mean"], record["sd"]):
        bound = None if "shows-failure" in tags else sampling_bound(after)
        if bound is not None:
            if bound:
                problems.append(f"{after.fragment.where}: fresh {after.text}, {bound}")
            continue
        if sd == 0 and before.is_integer and after.is_integer:
            if before.text != after.text:
                problems.append(
                    _line(before, after, 0, f"the same in all {runs} recorded runs")
                )
            continue
        allowed = allowed_difference(max(before.step, after.step), sd, runs)
        why = f"{runs} recorded runs: mean {mean:.4g}, Monte Carlo sd {sd:.2g}"
        if abs(after.value - mean) > allowed:
            problems.append(_line(before, after, allowed, why))
        elif abs(before.value - mean) > allowed:
            problems.append(
                _line(before, after, allowed, f"the stored value is off; {why}")
            )
    return problems


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
