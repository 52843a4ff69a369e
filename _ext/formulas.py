"""Formulas, set by KaTeX while the book is built: readers need neither a script nor a network.

KaTeX is in `katex/` as released, with the fonts that the book uses. They become part of the
style sheet, because some browsers load no font files for a page that is opened from disk.
A formula that KaTeX cannot read, or that needs another font, fails the build.
"""

import base64
import re
from pathlib import Path

from docutils import nodes
from py_mini_racer import MiniRacer
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

KATEX = Path(__file__).with_name("katex")
CSS = (KATEX / "katex.min.css").read_text(encoding="utf-8")
STYLE = "formulas.css"
FONT_FACE = re.compile(
    r"@font-face\{[^}]*?url\((fonts/KaTeX_(\w+)[\w-]+\.woff2)\)[^}]*\}"
)
FONTS = {file.stem.split("_")[1].split("-")[0] for file in KATEX.glob("fonts/*.woff2")}
# Classes of letters in fonts that are not in `katex/fonts`, such as mathbb in AMS.
MISSING = {
    name: font
    for selectors, font in re.findall(r"([^{}]+)\{font-family:KaTeX_(\w+)", CSS)
    for name in re.findall(r"\.(\w+)(?=,|$)", selectors)
    if font not in FONTS
}
ENVIRONMENT = re.compile(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}", re.DOTALL)
# The sign for a product may stand in words too: "person × noise".
HTML = r"""
function html(tex, displayMode) {
  const macros = {"×": "\\TextOrMath{$\\times$}{\\times}"};
  try {
    return "+" + katex.renderToString(tex, {displayMode, macros, strict: "error"});
  } catch (error) {
    return "-" + error.message;
  }
}
"""
logger = logging.getLogger(__name__)


class Typesetter:
    """KaTeX, started when the first formula comes."""

    def __init__(self):
        self.engine = None

    def html(self, tex, display):
        """HTML and MathML of a formula, or a ValueError that says what is wrong with it."""
        if self.engine is None:
            self.engine = MiniRacer()
            self.engine.eval((KATEX / "katex.min.js").read_text(encoding="utf-8"))
            self.engine.eval(HTML)
        answer = self.engine.call("html", tex, display)
        if answer[0] == "-":
            raise ValueError(answer[1:])
        if lacking := MISSING.keys() & set(re.findall(r"\w+", answer)):
            raise ValueError(
                f"needs KaTeX's font {MISSING[min(lacking)]} in _ext/katex/fonts"
            )
        return answer[1:]

    def close(self, *_):
        """Stop KaTeX: its threads would keep the build from ending."""
        if self.engine is not None:
            self.engine.close()
            self.engine = None


typesetter = Typesetter()


def typeset(node, display):
    """The HTML of a formula's node; a formula that KaTeX cannot read is a warning."""
    tex = node.astext().strip()
    if display and r"\\" in ENVIRONMENT.sub("", tex):
        tex = rf"\begin{{split}}{tex}\end{{split}}"
    try:
        return typesetter.html(tex, display)
    except ValueError as error:
        logger.warning("formula %s: %s", tex, error, location=node)
        return ""


def visit_inline(writer, node):
    """A formula within a line."""
    start = writer.starttag(node, "span", "", CLASS="math notranslate nohighlight")
    writer.body.append(start + typeset(node, display=False) + "</span>")
    raise nodes.SkipNode


def visit_display(writer, node):
    """A formula on its own line, with its number where it has a label."""
    writer.body.append(
        writer.starttag(node, "div", CLASS="math notranslate nohighlight")
    )
    if node["number"]:
        number = get_node_equation_number(writer, node)
        writer.body.append(f'<span class="eqno">({number})')
        writer.add_permalink_ref(node, "Link to this equation")
        writer.body.append("</span>")
    writer.body.append(typeset(node, display=True) + "</div>\n")
    raise nodes.SkipNode


def embed(rule):
    """A rule for a font with the font in it, or nothing for a font that the book does not use."""
    file = KATEX / rule[1]
    if not file.is_file():
        return ""
    font = base64.b64encode(file.read_bytes()).decode()
    source = f'src:url("data:font/woff2;base64,{font}") format("woff2")'
    return re.sub(r"src:[^}]*", source, rule[0])


def write_style_sheet(app):
    """Put KaTeX's style sheet where the pages look for it."""
    file = Path(app.outdir, "_static", STYLE)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(FONT_FACE.sub(embed, CSS), encoding="utf-8")


def load_style_sheet(app, pagename, templatename, context, doctree):
    """Only pages with formulas load it."""
    if doctree and next(
        doctree.findall(nodes.math), doctree.next_node(nodes.math_block)
    ):
        app.add_css_file(STYLE)


def setup(app):
    """Register the extension."""
    app.add_html_math_renderer("katex", (visit_inline, None), (visit_display, None))
    app.connect("builder-inited", write_style_sheet)
    app.connect("html-page-context", load_style_sheet)
    app.connect("build-finished", typesetter.close)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
