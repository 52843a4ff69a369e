"""What every page of the site gets beyond its text, and what the site offers beside the pages.

- a description of the page, for search engines and for the site's own search
- under the title of a lesson or day: links to Binder and to the day's download
- images with their size, so that nothing moves while they load; tables without empty headings
- a list of contents that gives lessons the numbers of their files
- folded code that says which figure it draws
- `downloads/dayN.zip`: the lessons of a day with their data, ready to be run
"""

import html
import re
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from PIL import Image

LONGEST = 280  # letters of a description
PIXELS = 2  # of a stored figure for each of the page's, as tools/execute.py stores it
OTHER_PAGES = {
    "search": "Search the lessons, the glossary and the guide of the course in Bayesian"
    " multilevel modelling."
}
LESSON_IN_CONTENTS = re.compile(
    r'(?P<start><li class="toctree-l2[^"]*")(?P<link>><a [^>]*href="(?P<file>[^"#]*)#?")'
)
README = """\
Day {day} of the course Bayesian Multilevel Modelling: unzip, and open the folder in JupyterLab.
How to install what the lessons need: {url}#readme
"""


def describe(app, doctree):
    """Keep a description of the page: its first sentences, and the aims of a lesson."""
    meta = app.env.metadata[app.env.docname]
    meta.setdefault("description", description(doctree))


def description(doctree):
    """The first paragraph without formulas; then a lesson's aims, or the next sentences."""
    paragraphs = [
        node
        for node in doctree.findall(nodes.paragraph)
        if not node.next_node(nodes.math) and not node.next_node(nodes.image)
    ]
    aims = [
        p
        for p in paragraphs
        if inside(p, "objectives") and p.parent.tagname == "list_item"
    ]
    texts = [plain(p) for p in paragraphs if p.parent.tagname != "list_item"]
    texts = [text for text in texts if text.endswith((".", "?", "!"))]
    if aims:
        texts = [texts[0], "How to " + "; ".join(map(plain, aims)) + "."]
    separator = "; " if aims else ". "
    text = " ".join(texts)
    if len(text) > LONGEST:
        text = text[:LONGEST].rpartition(separator)[0].rstrip(".;") + "."
    return text


def keep_units(app, doctree):
    """A number and its unit stay on one line."""
    for text in list(doctree.findall(nodes.Text)):
        kept = re.sub(r"(?<=\d) (?=%|ms\b|mm\b|s\b)", "\u00a0", text)
        if kept != text and not isinstance(
            text.parent, nodes.literal | nodes.literal_block | nodes.raw
        ):
            text.parent.replace(text, nodes.Text(kept))


def inside(node, name):
    """Whether a node is in an element of that class."""
    while node := node.parent:
        if name in node.get("classes", []):
            return True
    return False


def plain(node):
    """The text of a node in one line."""
    return " ".join(node.astext().split())


def add_to_page(app, pagename, templatename, context, doctree):
    """Add to one page what the module's docstring lists."""
    meta = app.env.metadata[pagename] if doctree else {}
    text = html.escape(meta.get("description", OTHER_PAGES.get(pagename, "")))
    context["metatags"] = (
        f'{context.get("metatags", "")}\n<meta name="description" content="{text}">'
    )
    if pagename == "search":
        found = app.env.metadata.items()
        context["descriptions"] = {name: meta["description"] for name, meta in found}
    context["numbered"] = partial(numbered, pagename=pagename)
    if doctree:
        body = re.sub(r"<th[^>]*>(<p></p>)?</th>", "<td></td>", context["body"])
        body = re.sub(r"<style scoped>.*?</style>", "", body, flags=re.DOTALL)
        body = re.sub(r"<img [^>]*>", Sizes(app, is_lesson(app, pagename)).add, body)
        if 'class="sd-' not in body:  # nothing of sphinx-design, which is heavy
            for kind in ("css_files", "script_files"):
                context[kind] = [f for f in context[kind] if "design" not in f.filename]
        context["body"] = body.replace("</h1>", "</h1>\n" + links(app, pagename), 1)


def numbered(contents, pagename):
    """The list of contents, in which each lesson has the number that its file has."""

    def add(item):
        file = item["file"] or pagename  # the page itself is linked as "#"
        lesson = re.search(r"(?:^|/)(\d\d)_", file)
        reset = f' style="counter-reset: lesson {int(lesson[1])}"' if lesson else ""
        return f"{item['start']}{reset}{item['link']}"

    return LESSON_IN_CONTENTS.sub(add, contents)


def is_lesson(app, pagename):
    """Whether a page is made from a notebook."""
    return Path(app.env.doc2path(pagename)).suffix == ".ipynb"


class Sizes:
    """Writes the sizes of the images of one page into their tags."""

    def __init__(self, app, is_lesson):
        self.source = {name: file for file, name in app.builder.images.items()}
        self.folder = Path(app.srcdir)
        self.in_view = not is_lesson  # the first image of a page without code, or none

    def add(self, tag):
        """An image with its size; it loads when it is needed, unless it is in view at once."""
        address = unquote(re.search(r'src="([^"]*)"', tag[0])[1])
        file = self.folder / self.source.get(
            address.rpartition("/")[2], address.lstrip("./")
        )
        if file.suffix == ".svg":
            box = re.search(
                r'viewBox="[\d.-]+ [\d.-]+ ([\d.]+) ([\d.]+)"', file.read_text("utf-8")
            )
            size = [float(side) for side in box.groups()]
        else:
            with Image.open(file) as image:
                size = [side / PIXELS for side in image.size]
        width, height = map(round, size)
        loading = "" if self.in_view else ' loading="lazy"'
        self.in_view = False
        # Without the style of MyST-NB, which no page could shrink.
        rest = re.sub(r' style="[^"]*"', "", tag[0][4:])
        return f'<img width="{width}" height="{height}"{loading} decoding="async"{rest}'


def links(app, pagename):
    """The links of a lesson or of a day's page."""
    day = re.match(r"day(\d)", pagename)
    if not day:
        return ""
    up = "../" * pagename.count("/")
    zipped = f'<a href="{up}downloads/day{day[1]}.zip" download>Download day {day[1]} (zip)</a>'
    if is_lesson(app, pagename):
        theme = app.config.html_theme_options
        owner = (
            theme["source_repository"].removeprefix("https://github.com/").strip("/")
        )
        lab = quote(f"lab/tree/{pagename}.ipynb", safe="")
        binder = (
            f"https://mybinder.org/v2/gh/{owner}/{theme['source_branch']}?urlpath={lab}"
        )
        zipped = f'<a href="{binder}">Run on Binder</a> {zipped}'
    return f'<nav class="page-links" aria-label="Run this">{zipped}</nav>'


def begin_folded(writer, node):
    """Folded code, named for the figure under it, or numbered."""
    caption = (node.parent or node).next_node(nodes.caption)
    figure = re.match(r"Figure [\d.]*\d", caption.astext()) if caption else None
    name = (
        "Code" if node.parent else "Code and result"
    )  # a whole cell has no parent here
    if figure:
        name += f" of {figure[0]}"
    else:
        writer.folded = getattr(writer, "folded", 0) + 1
        name += f" {writer.folded}"
    writer.body.append(f'<details class="hide {" ".join(node["classes"])}">')
    writer.body.append(f"<summary>{name}</summary>\n")


def end_folded(writer, node):
    """Close what `begin_folded` opened."""
    writer.body.append("</details>\n")


def write_downloads(app, exception):
    """Zip the lessons of each day with what they read; the same sources give the same bytes."""
    if exception:
        return
    root, url = Path(app.srcdir), app.config.html_theme_options["source_repository"]
    target = Path(app.outdir, "downloads")
    target.mkdir(exist_ok=True)
    for folder in sorted(root.glob("day*_*")):
        day = folder.name[3]
        lessons = sorted(folder.glob("*.ipynb"))
        text = "".join(lesson.read_text(encoding="utf-8") for lesson in lessons)
        read = {
            root / name for name in re.findall(r"\.\./([\w/]+\.(?:csv|mplstyle))", text)
        }
        contents = {f.relative_to(root): f.read_bytes() for f in [*lessons, *read]}
        contents[Path("requirements.txt")] = (root / "requirements.txt").read_bytes()
        contents[Path("README.txt")] = README.format(day=day, url=url).encode()
        with ZipFile(target / f"day{day}.zip", "w", ZIP_DEFLATED) as archive:
            for name, content in sorted(contents.items()):
                info = ZipInfo(
                    (Path("bayesian-multilevel-modelling") / name).as_posix()
                )
                info.external_attr = 0o644 << 16
                archive.writestr(info, content, ZIP_DEFLATED)


def setup(app):
    """Register the extension."""
    app.add_node(HideCodeCellNode, override=True, html=(begin_folded, end_folded))
    app.connect("doctree-read", describe)
    app.connect("doctree-read", keep_units)
    app.connect("html-page-context", add_to_page)
    app.connect("build-finished", write_downloads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
