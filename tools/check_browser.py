# /// script
# requires-python = ">=3.12"
# dependencies = [
#     "axe-playwright-python==0.1.8",
#     "greenlet==3.5.6",
#     "playwright==1.65.2",
# ]
# ///
"""Check the built site in a real browser: what a reader sees, on every page.

    .venv/bin/uv run tools/check_browser.py [_build/html]   check; one line for each fault
    ... --report FILE.json                                  and write all figures to a file
    .venv/bin/uv run tools/check_browser.py --self-test     each fault of tests/browser/ is found

uv makes a throw-away environment from the list above; the browser is the Chromium of the system.
Every page is opened as a first visit on a desktop and on a phone with a processor four times
slower (less on a machine that is slow itself), then looked at in light and dark, on paper, with
the keyboard and without JavaScript. Some are opened from disk. The checks of a page are in
check_browser.js. Any fault makes the exit status 1.
"""

import argparse
import asyncio
import functools
import html
import http.server
import json
import re
import shutil
import sys
import tempfile
import threading
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path
from statistics import median

try:
    from playwright.async_api import Error, async_playwright
except ModuleNotFoundError as error:
    sys.exit(
        f"check_browser: {error.name} is not installed; "
        "use: .venv/bin/uv run tools/check_browser.py"
    )

TOOLS = Path(__file__).resolve().parent
FIXTURES = TOOLS.parent / "tests" / "browser"

SHIFT = 0.05  # layout shift of a first visit
SLOWER = 4  # times, the processor of a first visit, on a machine as quick as ours
WORK = 60  # ms of a fixed piece of work (checks.work), so slowed; a slow machine is slowed less
# To the last formula and font, at that speed: by the clock, or what the page's main thread took of
# the processor until it was quiet, if that is less, as where other work delays the browser.
SECONDS = 1.5
TOO_LONG = 1.5  # times as long is a fault: less may be the machine's
BYTES = 1_500_000  # of a page read to its end, uncompressed
AGAIN = 4  # times, a figure that is a fault is measured
PATIENCE = 150  # s for a page; after that it is opened once more, in another browser
QUIET = 300  # ms without a change: the first visit is over
LINE = [60, 80]  # characters in a full line of prose, on average
FULL_LINES = 8  # of prose, for that average to be taken
SHARP = 1.8  # pixels of an image for each pixel of its width
CONTRAST = 4.5
FONT_SIZE = 15
DESCRIPTION = [60, 300]
EXCERPT = 40  # characters of a search result beside its title
PHONES = [390, 360]
PAPER = (794, 38)  # A4 and Chromium's own margin, in CSS pixels
WORDS = ["likelihood", "shrinkage", "pooling", "prior", "exchangeability"]

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": PHONES[0], "height": 844},
    "is_mobile": True,
    "has_touch": True,
}

# What is wrong, and what to do.
KINDS = {
    "axe": "breaks a rule of accessibility: see the rule's name on dequeuniversity.com",
    "shift": f"moves while it loads (limit {SHIFT}): give sizes before anything comes late",
    "slow": f"formulas come much later than {SECONDS} s: render them when the book is built",
    "heavy": f"more than {BYTES / 1e6} MB: load only what the page needs",
    "console": "a message in the console: mend its cause",
    "request": "a request failed, or went to another host: keep what is needed in the site",
    "page-colour": "the page's own colours are missing or pale: set them in CSS alone",
    "no-style": f"without JavaScript the text is unstyled or under {FONT_SIZE}px: set it in CSS",
    "unreachable": "hidden without JavaScript: use <details>",
    "image-size": "an image without width and height: write both",
    "image-lazy": 'an image far below: write loading="lazy"',
    "image-blurred": f"an image with under {SHARP} pixels for each of its width: store it larger",
    "image-stretched": "an image with other proportions than its file: write height: auto in CSS",
    "cut": "cut off, and nothing scrolls: wrap it or let its box scroll",
    "sideways": "the whole page scrolls sideways: let the wide element scroll in its own box",
    "focus-scroll": 'scrolls but cannot be focused: write tabindex="0"',
    "broken-word": "code broken within a word: let the table scroll instead",
    "schedule": "the schedule of a day has to be scrolled on a phone: make its rows narrower",
    "scrolls": "scrolls sideways on a desktop: make it narrower or its box wider",
    "line-length": f"lines of prose are not {LINE[0]}-{LINE[1]} characters: set the column's width",
    "print-cut": "wider than A4: wrap or shrink it in print",
    "print-folded": "folded code is not printed: open it in print",
    "print-contents": "a list of contents is printed: hide it in print",
    "print-split": "a figure may be split between sheets: break-inside: avoid",
    "print-pale": "pale on white paper, printed from dark mode: print dark text",
    "first-tab": "the first Tab is neither a skip link nor the search field: put one first",
    "focus-ring": "no visible focus: give it an outline",
    "search-field": "no search field in view when the page opens: keep it in view",
    "search-first": "the page named for a word does not come first: give titles more weight",
    "search-excerpt": "a search result without an excerpt: show the page's description",
    "description": f"no description of {DESCRIPTION[0]}-{DESCRIPTION[1]} characters: write one",
    "same-description": "the same meta description as another page: write its own",
    "h1": "not exactly one first heading: leave one",
    "id": "an id twice: rename one",
    "same-names": "buttons or folds of one kind all have the same name: say what each opens",
    "download": "a link to a notebook without the attribute download: add it",
}


def fail(message):
    sys.exit(f"check_browser: {message}")


def chromium():
    """The system's Chromium or Chrome."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    fail("there is no Chromium here: apt-get install chromium")


def pages_of(site):
    """The pages of the site, as addresses in it; the templates in _static are none."""
    paths = (path.relative_to(site) for path in sorted(site.rglob("*.html")))
    return [path.as_posix() for path in paths if path.parts[0] != "_static"]


def title_of(site, page):
    """The first heading of a page."""
    heading = re.search(
        r"<h1\b[^>]*>(.*?)</h1>", (site / page).read_text("utf-8"), re.S
    )
    return (
        html.unescape(re.sub(r"<a class=\"headerlink.*?</a>|<[^>]+>", "", heading[1]))
        if heading
        else ""
    )


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def serve(site):
    """Serve the site on a free port; return the server and its address."""
    handler = functools.partial(Quiet, directory=site)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}/"


class Checker:
    """A browser, the site in it, and the faults found so far: (page, mode, kind, element)."""

    def __init__(self, launch, site, address):
        self.launch, self.site, self.address = launch, site, address
        self.browser, self.slower = None, 1
        self.script = (TOOLS / "check_browser.js").read_text("utf-8")
        self.axe = (
            files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
        )
        self.faults, self.figures, self.descriptions = [], {}, {}

    def add(self, page, mode, faults):
        self.faults += [(page, mode, kind, element) for kind, element in faults]

    async def start(self):
        """Open the browser, and find how much its processor must be slowed for a first visit."""
        self.browser = await self.launch()
        tab = await self.browser.new_page()
        await tab.evaluate(self.script)
        slower = WORK / await tab.evaluate("checks.work()")
        self.slower = min(SLOWER, max(1, slower))
        await tab.close()

    async def patiently(self, name, look, *what):
        """Await look(*what); if the browser does not answer, once more in a new one."""
        for last in (False, True):
            try:
                async with asyncio.timeout(PATIENCE):
                    return await look(*what)
            except TimeoutError:
                if last:
                    fail(
                        f"the browser gave up: {name} took more than {PATIENCE} s, twice."
                    )
                print(f"{name}: no answer in {PATIENCE} s, once more.", flush=True)
                await self.start()

    async def page(self, page):
        """All that is looked at on one page."""
        self.faults = [fault for fault in self.faults if fault[0] != page]
        await self.desktop(page)
        await self.phone(page)
        await self.no_script(page)

    @asynccontextmanager
    async def opened(self, address, name, mode, *, slower=0, **options):
        """A new tab in a profile of its own, with what goes wrong in it put on record."""
        context = await self.browser.new_context(**options)
        tab = await context.new_page()
        local = (self.address, "file:", "data:", "blob:")

        def record(kind, text):
            self.add(name, mode, [(kind, " ".join(text.split())[:150])])

        def requested(request):
            if not request.url.startswith(local):
                record("request", f"other host: {request.url}")

        def answered(response):
            if response.status >= 400:
                record("request", f"{response.status}: {response.url}")

        tab.on(
            "console",
            lambda m: m.type in ("error", "warning") and record("console", m.text),
        )
        tab.on("pageerror", lambda error: record("console", error.message))
        tab.on("request", requested)
        tab.on(
            "requestfailed", lambda request: record("request", f"failed: {request.url}")
        )
        tab.on("response", answered)
        if slower:
            session = await context.new_cdp_session(tab)
            await session.send("Performance.enable", {"timeDomain": "threadTicks"})
            await session.send("Emulation.setCPUThrottlingRate", {"rate": slower})
            await tab.add_init_script(self.script + "\nchecks.watch();")
        try:
            await tab.goto(address, wait_until="load")
            if slower:
                await tab.evaluate("quiet => checks.settle(quiet)", QUIET)
                metrics = (await session.send("Performance.getMetrics"))["metrics"]
                spent = next(m["value"] for m in metrics if m["name"] == "TaskDuration")
                tab.first = await tab.evaluate("checks.firstVisit()")
                if tab.first["seconds"]:
                    tab.first["seconds"] = min(tab.first["seconds"], spent)
                await session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
            else:
                await tab.evaluate(self.script)
            yield tab
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE / 10):
                    await context.close()

    def first_visit(self, page, mode, options):
        return self.opened(
            self.address + page, page, mode, slower=self.slower, **options
        )

    async def run(self, tab, page, mode, group, **options):
        self.add(
            page,
            mode,
            await tab.evaluate("([g, o]) => checks.run(g, o)", [group, options]),
        )

    async def run_axe(self, tab, page, mode, part):
        """Every element that breaks a rule of axe-core, whatever the impact."""
        if not await tab.evaluate("'axe' in window"):
            await tab.evaluate(self.axe)
        self.add(page, mode, await tab.evaluate("part => checks.runAxe(part)", part))

    async def desktop(self, page):
        """A first visit on a desktop, then dark, printed, and with the keyboard."""
        async with self.first_visit(page, "desktop", DESKTOP) as tab:
            self.figures[page] = tab.first
            self.descriptions[page] = await tab.evaluate(
                "document.querySelector('meta[name=description]')?.content ?? ''"
            )
            width = DESKTOP["viewport"]["width"]
            await tab.keyboard.press("Tab")
            await self.run(tab, page, "desktop", "keyboard")
            await self.run(
                tab, page, "desktop", "desktop", width=width, line=LINE, sharp=SHARP,
                description=DESCRIPTION, minFullLines=FULL_LINES,
            )  # fmt: skip
            await self.run(tab, page, "light", "colour", scheme="light", text=CONTRAST)
            await self.run_axe(tab, page, "light", "structure")
            await self.run_axe(tab, page, "light", "colours")
            await tab.emulate_media(color_scheme="dark")
            await tab.wait_for_timeout(300)  # colours may change smoothly
            await self.run(tab, page, "dark", "colour", scheme="dark", text=CONTRAST)
            await self.run_axe(tab, page, "dark", "colours")
            await tab.emulate_media(color_scheme="dark", media="print")
            width = await tab.evaluate("paper => checks.printWidth(...paper)", PAPER)
            await tab.set_viewport_size({"width": width, "height": 1000})
            await tab.wait_for_timeout(300)
            await self.run(tab, page, "print", "print", width=width, text=CONTRAST)

    async def phone(self, page):
        """A first visit on a phone, and a narrower one."""
        async with self.first_visit(page, "phone", PHONE) as tab:
            self.figures[page]["phone shift"] = tab.first["shift"]
            await self.run_axe(tab, page, "phone", "structure")
            for width in PHONES:
                await tab.set_viewport_size({"width": width, "height": 844})
                await tab.wait_for_timeout(100)  # until the page has noticed
                await self.run(tab, page, f"phone {width}", "phone", width=width)

    async def no_script(self, page):
        """Without JavaScript, light and dark."""
        async with self.opened(
            self.address + page,
            page,
            "no JavaScript",
            java_script_enabled=False,
            **DESKTOP,
        ) as tab:
            await self.run(tab, page, "no JavaScript", "noScript", size=FONT_SIZE)
            for scheme in ("light", "dark"):
                await tab.emulate_media(color_scheme=scheme)
                await self.run(
                    tab,
                    page,
                    f"no JavaScript, {scheme}",
                    "colour",
                    scheme=scheme,
                    text=CONTRAST,
                )

    async def judge(self, page):
        """Compare the figures of a first visit with their limits.

        What is over its limit may be due to the page beside it: it is measured again, alone.
        """
        figures = self.figures[page]

        def over(key, limit):
            return (figures[key] or 0) > limit

        for _ in range(AGAIN):
            if over("shift", SHIFT) or over("seconds", SECONDS * TOO_LONG):
                async with self.first_visit(page, "desktop", DESKTOP) as tab:
                    for key in ("shift", "seconds"):
                        figures[key] = min(
                            figures[key], tab.first[key], key=lambda x: x or 0
                        )
            if over("phone shift", SHIFT):
                async with self.first_visit(page, "phone", PHONE) as tab:
                    figures["phone shift"] = min(
                        figures["phone shift"], tab.first["shift"]
                    )
        for key, mode in (("shift", "desktop"), ("phone shift", "phone")):
            if over(key, SHIFT):
                self.add(page, mode, [("shift", f"{figures[key]:.3f}")])
        if over("seconds", SECONDS * TOO_LONG):
            self.add(page, "desktop", [("slow", f"{figures['seconds']:.1f} s")])
        if figures["bytes"] > BYTES:
            size, scripts = (figures[key] / 1e6 for key in ("bytes", "scripts"))
            text = f"{size:.2f} MB, {scripts:.2f} of them scripts"
            self.add(page, "desktop", [("heavy", text)])

    async def search(self, titles):
        """Search for a few words, from a server and from disk."""
        for base, mode in (
            (self.address, "search"),
            (self.site.as_uri() + "/", "search from disk"),
        ):
            for word in WORDS:
                page = f"search.html?q={word}"
                async with self.opened(base + page, page, mode, **DESKTOP) as tab:
                    found = await tab.evaluate(
                        "o => checks.searchResults(o)", {"excerpt": EXCERPT}
                    )
                    named = any(word in title.lower() for title in titles)
                    if named and word not in found["first"].lower():
                        self.add(
                            page,
                            mode,
                            [("search-first", found["first"] or "no result")],
                        )
                    self.add(
                        page,
                        mode,
                        [("search-excerpt", title) for title in found["bare"]],
                    )

    async def from_disk(self, pages):
        """The first page of every folder, opened from disk."""
        first = {page.rpartition("/")[0]: page for page in reversed(pages)}
        for page in first.values():
            address = (self.site / page).as_uri()
            async with self.opened(address, page, "from disk", **DESKTOP) as tab:
                await tab.evaluate("quiet => checks.settle(quiet)", QUIET)

    async def site_wide(self, pages):
        await self.search([title_of(self.site, page) for page in pages])
        await self.from_disk(pages)
        owners = {}
        for page, text in sorted(self.descriptions.items()):
            if text and owners.setdefault(text, page) != page:
                self.add(page, "desktop", [("same-description", f"as {owners[text]}")])


async def check(site):
    """Look at every page; return the faults and the figures."""
    executable, pages = chromium(), asyncio.Queue()
    for page in (names := pages_of(site)):
        pages.put_nowait(page)
    server, address = serve(site)
    async with async_playwright() as playwright:
        launch = functools.partial(
            playwright.chromium.launch,
            executable_path=executable,
            args=["--no-sandbox"],
        )
        checker = Checker(launch, site, address)
        await checker.start()

        async def work():
            while not pages.empty():
                page = pages.get_nowait()
                await checker.patiently(page, checker.page, page)

        await asyncio.gather(work(), work())
        for page in names:
            await checker.patiently(page, checker.judge, page)
        await checker.patiently("the search", checker.site_wide, names)
        await checker.browser.close()
    server.shutdown()
    return checker.faults, dict(sorted(checker.figures.items()))


def lines(faults):
    """One line for each kind of fault on a page, with the first elements concerned."""
    groups = {}
    for page, mode, kind, element in faults:
        groups.setdefault((page, kind, mode), []).append(element)
    for (page, kind, mode), found in sorted(groups.items()):
        first = "; ".join(dict.fromkeys(filter(None, found[:3])))
        yield f"{page} [{mode}] {kind}, {len(found)}: {KINDS[kind]}" + (
            f": {first}" if first else ""
        )


def table(faults, figures):
    """The figures in Markdown: those with a limit, then the number of faults of each kind."""
    rows = [
        ("layout shift, desktop", "shift", SHIFT, 1),
        ("layout shift, phone", "phone shift", SHIFT, 1),
        ("seconds to the formulas", "seconds", SECONDS, 1),
        ("MB of a page", "bytes", BYTES / 1e6, 1e6),
        ("MB of scripts in it", "scripts", None, 1e6),
    ]
    yield "| On a first visit | limit | median | worst | over | worst page |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for label, key, limit, unit in rows:
        values = {
            page: f[key] / unit for page, f in figures.items() if f[key] is not None
        }
        if not values:
            continue
        page = max(values, key=values.get)
        over = sum(value > limit for value in values.values()) if limit else ""
        middle = median(values.values())
        yield f"| {label} | {limit or ''} | {middle:.2f} | {values[page]:.2f} | {over} | {page} |"
    yield ""
    yield "| Fault | number | pages |"
    yield "| --- | --- | --- |"
    for kind, advice in KINDS.items():
        found = [page for page, _, this, _ in faults if this == kind]
        yield f"| {kind}: {advice.partition(':')[0]} | {len(found)} | {len(set(found))} |"


def self_test():
    """Check the pages of tests/browser/, which say in a comment what must be found on them."""
    with tempfile.TemporaryDirectory() as folder:
        site = shutil.copytree(FIXTURES, Path(folder, "site"))
        (site / "heavy.css").write_text(" " * BYTES)
        faults, _ = asyncio.run(check(site))
    expected, wrong = {}, []
    for page in pages_of(FIXTURES):
        comment = re.search(
            r"<!-- expect:(.*?)-->", (FIXTURES / page).read_text("utf-8"), re.S
        )
        expected[page] = set(comment[1].split())
        found = {kind for name, _, kind, _ in faults if name.partition("?")[0] == page}
        wrong += [
            f"{page}: {kind} was not found" for kind in sorted(expected[page] - found)
        ]
        wrong += [
            f"{page}: {kind} was found, and is not there"
            for kind in sorted(found - expected[page])
        ]
    wrong += [
        f"{kind}: no page of tests/browser has it"
        for kind in KINDS
        if kind not in set().union(*expected.values())
    ]
    if wrong:
        print(*lines(faults), *wrong, sep="\n")
        fail(f"the self-test failed: {len(wrong)}.")
    print(f"Every fault of tests/browser is found, {len(KINDS)} kinds, and no other.")


def check_site(options):
    """Print the faults and figures of the built site, and write the report."""
    site = options.site.resolve()
    if not (site / "index.html").is_file():
        fail(f"no site in {options.site}: run `make book` first.")
    faults, figures = asyncio.run(check(site))
    if options.report:
        report = {"figures": figures, "faults": sorted(faults)}
        options.report.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(*lines(faults), "", *table(faults, figures), sep="\n")
    if faults:
        fail(
            f"{len(list(lines(faults)))} faults in {options.site}, of {len(figures)} pages."
        )
    print(f"\n{options.site}: {len(figures)} pages in a browser, no faults.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", nargs="?", type=Path, default=Path("_build/html"))
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write all figures as JSON"
    )
    parser.add_argument(
        "--self-test", action="store_true", help="look for the faults of tests/browser"
    )
    options = parser.parse_args()
    try:
        return self_test() if options.self_test else check_site(options)
    except Error as error:
        fail(f"the browser gave up: {' '.join(error.message.split())[:300]}")


if __name__ == "__main__":
    main()
