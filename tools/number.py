"""Number the figures and exercises of the lessons, and whatever refers to them or to a lesson.

    python tools/number.py            write the right numbers into lessons and pages
    python tools/number.py --check    only list the files in which numbers are wrong

The second figure of day 2, lesson 6 is Figure 2.6.2. What counts is where a figure or an exercise
stands; its label, as in `<a id="fig-pool-data"></a>`, says who is meant. So a lesson can be moved
and a figure added without a thought for numbers.
"""

import re
import sys
from pathlib import Path

import execute
import nbformat

ROOT = Path(__file__).resolve().parent.parent
CAPTION = re.compile(
    r'\A<a id="(?P<label>fig-[\w-]+)"></a>\*\*Figure (?P<number>[\w.]+)\.\*\*'
)
EXERCISE = re.compile(
    r'^(?P<marks>#{3,}) <a id="(?P<label>ex-[\w-]+)"></a>Exercise (?P<number>[\w.]+)\.',
    re.MULTILINE,
)
SOLUTION = re.compile(
    r"^(?P<marks>#{4,}) Solution of Exercise (?P<number>[\w.]+)\n\n"
    r"<!-- \{solution-start\} (?P<label>ex-[\w-]+) -->$",
    re.MULTILINE,
)
REFERENCE = re.compile(
    r"\[(?:Figure|Exercise) (?P<number>[\w.]+)\]\([^)#]*#(?P<label>(?:fig|ex)-[\w-]+)\)"
)
LESSON = re.compile(
    r"\[[Ll]esson (?P<number>[\w.]+)\]\([\w./]*?(?P<label>\d\d_\w+\.ipynb)"
)


def markdown_of(notebook):
    """The sources of a notebook's Markdown cells."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def places(path, sources):
    """The number of a lesson, by its file, and of each label in it: {"fig-pool-data": "2.6.1"}."""
    day = re.search(r"\d", path.parent.name)
    lesson = re.match(r"\d+", path.name)
    place = f"{day[0]}.{int(lesson[0])}" if day and lesson else "N.N"
    found = {path.name: place}
    for form in (CAPTION, EXERCISE):
        labels = [match["label"] for text in sources for match in form.finditer(text)]
        found |= {label: f"{place}.{i}" for i, label in enumerate(labels, start=1)}
    return found


def numbered(text, known):
    """A Markdown text with the numbers that its captions, exercises and references should have."""

    def right(match):
        begin, end = (place - match.start() for place in match.span("number"))
        number = known.get(match["label"], match["number"])
        return match[0][:begin] + number + match[0][end:]

    for form in (CAPTION, EXERCISE, SOLUTION, REFERENCE, LESSON):
        text = form.sub(right, text)
    return text


def main():
    lessons = [*ROOT.glob("day*/[0-9][0-9]_*.ipynb"), *ROOT.glob("template/*.ipynb")]
    notebooks = {path: nbformat.read(path, as_version=4) for path in sorted(lessons)}
    known = {}
    for path, notebook in notebooks.items():
        known |= places(path, markdown_of(notebook))
    changed = []
    for path, notebook in notebooks.items():
        before = markdown_of(notebook)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = numbered(cell.source, known)
        if markdown_of(notebook) != before:
            changed.append((path, nbformat.writes(notebook) + "\n"))
    for path in [ROOT / "index.md", *ROOT.glob("guide/*.md"), *ROOT.glob("day*/*.md")]:
        text = path.read_text(encoding="utf-8")
        if numbered(text, known) != text:
            changed.append((path, numbered(text, known)))
    for path, text in changed:
        print(path.relative_to(ROOT))
        if "--check" not in sys.argv[1:]:
            execute.write(path, text)
    if changed and "--check" in sys.argv[1:]:
        sys.exit(
            "Numbers of lessons, figures or exercises are wrong here: run make number."
        )


if __name__ == "__main__":
    main()
