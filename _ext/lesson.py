"""What the site makes of the lessons' plain Markdown, which reads well in JupyterLab too.

- An anchor `<a id="label"></a>` at the start of a paragraph or heading is the label of it, so that
  links from other pages, `[text](page.md#label)`, are checked like all others.
- A paragraph with the label `fig-...` after a code cell is the caption of that cell's figure.
- A section with the label `ex-...` has the class `exercise`.
- A section that begins with `<!-- {solution-start} ex-... -->` is folded away.
- The terms of the glossary, headings elsewhere, are a list of definitions.
"""

import re

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)
ANCHOR = re.compile(r'<a id="([^"]+)">')
GATE = re.compile(r"<!-- \{solution-(start|end)\}.* -->")


class solution(nodes.General, nodes.Element):
    """The solution of an exercise: its first child is the summary that is always seen."""


class summary(nodes.General, nodes.TextElement):
    """What a folded solution is called."""


class ReadLessons(SphinxTransform):
    """Turn the conventions of the sources into nodes, before the contents are collected."""

    default_priority = 250  # before MyST resolves links to anchors

    def apply(self, **kwargs):
        self.read_anchors()
        for section in list(self.document.findall(nodes.section)):
            self.fold_solution(section)
        if self.env.docname == "guide/glossary":
            self.list_terms()

    def read_anchors(self):
        slugs = self.env.metadata[self.env.docname].setdefault("myst_slugs", {})
        self.document.myst_slugs = slugs
        for raw in list(self.document.findall(nodes.raw)):
            found = ANCHOR.fullmatch(raw.astext())
            if not found:
                continue
            block, label = raw.parent, found[1]
            if label in slugs or label in self.document.ids:
                logger.warning("the label %s is taken", label, location=block)
            del block[block.index(raw) : block.index(raw) + 2]  # with its end tag
            if label.startswith("fig-"):
                owner = self.caption(block, label)
            elif isinstance(block, nodes.title):
                owner = block.parent
            else:
                owner = block
            if label.startswith("ex-"):
                owner["classes"].append("exercise")
            owner["ids"].insert(0, label)
            self.document.ids[label] = owner
            slugs[label] = (raw.line, label, owner.astext().partition("\n")[0])

    def caption(self, paragraph, label):
        """Move a caption to the figure above it, and return that figure."""
        section = paragraph.parent
        cell = section[section.index(paragraph) - 1]
        bundles = [
            node
            for node in cell.findall(nodes.container)
            if node.get("nb_element") == "mime_bundle"
            and list(node.findall(nodes.image))
        ]
        if "cell" not in cell.get("classes", []) or len(bundles) != 1:
            logger.warning("%s: no figure above its caption", label, location=paragraph)
            return paragraph
        (bundle,) = bundles
        figure = nodes.figure()
        bundle.replace_self(figure)
        caption = nodes.caption(paragraph.rawsource, "", *paragraph.children)
        figure += [bundle, caption]
        section.remove(paragraph)
        return figure

    def fold_solution(self, section):
        gates = [
            n for n in section.findall(nodes.raw) if GATE.fullmatch(n.astext().strip())
        ]
        if any(gate.parent is section and section.index(gate) == 1 for gate in gates):
            title, *content = section.children
            for gate in gates:
                gate.parent.remove(gate)
            folded = solution("", ids=section["ids"], classes=["solution"])
            folded += [summary("", "", *title.children), *content[1:]]
            section.replace_self(folded)

    def list_terms(self):
        for letter in list(self.document.findall(nodes.section)):
            terms = [n for n in letter.children if isinstance(n, nodes.section)]
            if not terms or isinstance(letter.parent, nodes.document):
                continue
            glossary = nodes.definition_list(classes=["glossary"])
            letter.insert(letter.index(terms[0]), glossary)
            for section in terms:
                title, *content = section.children
                letter.remove(section)
                glossary += nodes.definition_list_item(
                    "",
                    nodes.term("", "", *title.children, ids=section["ids"]),
                    nodes.definition("", *content),
                )


def visit_solution(self, node):
    self.body.append(self.starttag(node, "details"))


def depart_solution(self, node):
    self.body.append("</details>\n")


def visit_summary(self, node):
    self.body.append(self.starttag(node, "summary", ""))


def depart_summary(self, node):
    self.body.append("</summary>\n")


def keep_our_numbers(app, config):
    """Figures are numbered in the sources; Jupyter Book would number them once more."""
    config.numfig = False


def setup(app):
    app.add_node(solution, html=(visit_solution, depart_solution))
    app.add_node(summary, html=(visit_summary, depart_summary))
    app.add_transform(ReadLessons)
    app.connect("config-inited", keep_our_numbers, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
