"""Check that the built site is complete and can be read without a network.

Usage: python tools/check_site.py [_build/html]

Every fault is one line, and any fault makes the exit status 1: a page or style sheet that loads
something from the network, an image without alt text or size, a link, anchor or file that is
missing, an id twice, a page without a description of its own, a download in which a file is
missing, a site without a start page or search index. Links to other sites are left alone.
"""

import re
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from zipfile import ZipFile

LOADING_RELS = {
    "icon",
    "stylesheet",
    "preload",
    "modulepreload",
    "prefetch",
    "preconnect",
}
LOADING_RELS |= {"dns-prefetch", "manifest", "apple-touch-icon", "mask-icon"}
LOADING_TAGS = {
    "audio",
    "embed",
    "iframe",
    "image",
    "img",
    "input",
    "object",
    "script",
    "source",
}
LOADING_TAGS |= {"track", "use", "video"}
CSS_TARGET = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")


def css_targets(css):
    """The addresses that a piece of CSS loads, data: addresses aside."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    targets = [url.strip() or imported for url, imported in CSS_TARGET.findall(css)]
    return [target for target in targets if not target.startswith(("data:", "#"))]


class Page(HTMLParser):
    """What one page loads, links to and offers as anchors."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.anchors, self.images = [], [], set(), []
        self.ids, self.description = Counter(), ""
        self.in_style = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = {name: value or "" for name, value in attrs}
        self.in_style = tag == "style"
        self.anchors |= {attrs[name] for name in ("id", "name") if name in attrs}
        self.ids.update([attrs["id"]] if "id" in attrs else [])
        if tag == "meta" and attrs.get("name") == "description":
            self.description = attrs["content"]
        if tag == "a" and "href" in attrs:
            self.links.append(attrs["href"])
        if tag == "img":
            self.images.append(attrs)
        if tag in LOADING_TAGS:
            names = ("src", "data", "poster", "href", "xlink:href")
            self.loads += [attrs[name] for name in names if name in attrs]
            self.loads += [
                part.split()[0] for part in attrs.get("srcset", "").split(",") if part
            ]
        if tag == "link" and LOADING_RELS & set(attrs.get("rel", "").lower().split()):
            self.loads.append(attrs.get("href", ""))
        self.loads += css_targets(attrs.get("style", ""))

    def handle_data(self, data):
        if self.in_style:
            self.loads += css_targets(data)

    def handle_endtag(self, tag):
        self.in_style = False


def without_alt(image):
    """Whether an image lacks alt text; Sphinx writes the file's name where an author gave none."""
    if image.get("aria-hidden") == "true" or "sidebar-logo" in image.get("class", ""):
        return "alt" not in image
    alt = image.get("alt", "").strip()
    return not alt or alt.rpartition("/")[2] == image.get("src", "").rpartition("/")[2]


def is_remote(address):
    return address.startswith("//") or urlsplit(address).scheme in (
        "http",
        "https",
        "ws",
        "wss",
    )


def target_of(address, source, site):
    """The file that a local address names, seen from the file `source`."""
    path = unquote(urlsplit(address).path)
    target = (
        source
        if not path
        else (site / path[1:] if path[0] == "/" else source.parent / path)
    )
    return target / "index.html" if target.is_dir() else target


def load_faults(addresses, source, site):
    """Faults among the things that a page or style sheet loads."""
    for address in addresses:
        if is_remote(address):
            yield f"loads from the network: {address}"
        elif (
            not address.startswith("data:")
            and not target_of(address, source, site).is_file()
        ):
            yield f"file not found: {address}"


def link_faults(links, source, site, pages):
    """Faults among the links of a page to other places of the site."""
    for link in links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = target_of(link, source, site).resolve()
        if not target.is_file():
            yield f"link to a missing page: {link}"
        elif target in pages and unquote(parts.fragment) not in pages[
            target
        ].anchors | {""}:
            yield f"link to a missing anchor: {link}"


def description_faults(pages):
    """Faults of the pages' descriptions: missing, too short or long to be shown, not their own."""
    said = Counter(page.description for page in pages.values())
    for file, page in pages.items():
        if not 60 <= len(page.description) <= 300:
            yield f"{file}: description of {len(page.description)} letters, not 60 to 300"
        elif said[page.description] > 1:
            yield f"{file}: another page has the same description"


def download_faults(archive):
    """Files that the lessons in a download read and that are not in it."""
    with ZipFile(archive) as opened:
        names = set(opened.namelist())
        for name in sorted(names):
            if not name.endswith(".ipynb"):
                continue
            root = name.split("/")[0]
            text = opened.read(name).decode()
            for read in sorted(
                set(re.findall(r"\.\./([\w/]+\.(?:csv|mplstyle))", text))
            ):
                if f"{root}/{read}" not in names:
                    yield f"{name} reads {read}, which is missing"
    if not any(name.endswith(".ipynb") for name in names):
        yield "no lessons in it"


def pages_of(site):
    """The pages of the site; the templates that themes leave in _static are none."""
    return [
        file
        for file in sorted(site.rglob("*.html"))
        if file.parts[len(site.parts)] != "_static"
    ]


def check(site):
    """All faults of the site, one line each."""
    for name in ("index.html", "search.html", "searchindex.js"):
        if not (site / name).is_file():
            yield f"{name}: missing"
    files = pages_of(site)
    pages = {file.resolve(): Page(file.read_text(encoding="utf-8")) for file in files}
    for file in files:
        page = pages[file.resolve()]
        faults = [
            *load_faults(page.loads, file, site),
            *link_faults(page.links, file, site, pages),
        ]
        faults += [
            f"no alt text: {img.get('src')}" for img in page.images if without_alt(img)
        ]
        faults += [
            f"no width and height: {img.get('src')}"
            for img in page.images
            if not {"width", "height"} <= img.keys()
        ]
        faults += [f"id twice: {name}" for name, count in page.ids.items() if count > 1]
        yield from (f"{file.relative_to(site)}: {fault}" for fault in faults)
    yield from description_faults(
        {f.relative_to(site): pages[f.resolve()] for f in files}
    )
    for archive in sorted(site.glob("downloads/*.zip")):
        faults = download_faults(archive)
        yield from (f"{archive.relative_to(site)}: {fault}" for fault in faults)
    for file in sorted(site.rglob("*.css")):
        addresses = css_targets(file.read_text(encoding="utf-8"))
        yield from (
            f"{file.relative_to(site)}: {f}" for f in load_faults(addresses, file, site)
        )


def main():
    site = Path(sys.argv[1] if len(sys.argv) > 1 else "_build/html")
    if not site.is_dir():
        sys.exit(f"No site in {site}: run `make book` first.")
    faults = list(check(site))
    print(*faults, sep="\n", end="\n" if faults else "")
    if faults:
        sys.exit(f"Faults in {site}: {len(faults)}.")
    print(f"{site}: {len(pages_of(site))} pages, no faults, nothing from the network.")


if __name__ == "__main__":
    main()
