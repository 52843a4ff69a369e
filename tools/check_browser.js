// What check_browser.py asks of a page, run inside it. A check returns its faults as pairs
// [kind, element]; the kinds are explained in check_browser.py.
globalThis.checks ??= (() => {
  const FORMULA = ".katex, mjx-container, math";
  const SCREEN_READERS_ONLY = ".katex-mathml, mjx-assistive-mml, .sr-only, .visually-hidden";
  const BLOCKS = "p, li, dt, dd, td, th, h1, h2, h3, h4, h5, h6, figcaption, summary, label, "
    + `a, button, code, pre, table, img, svg, ${FORMULA}`;
  const SLACK = 4; // pixels, less than a letter
  const NEIGHBOURS = 'a[rel~="next"], a[rel~="prev"], a[class*="next"], a[class*="prev"]';

  // ---- The first visit, watched from its beginning.

  let shift = 0, busy = 0, formulas = 0, formulasAt = 0, fontsAt = 0, settled = false;
  const found = ["katex", "mjx-container", "math"].map((name) =>
    name === "katex" ? document.getElementsByClassName(name) : document.getElementsByTagName(name));

  function watch() {
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        if (!entry.hadRecentInput) shift += entry.value;
        busy = entry.startTime;
      }
    }).observe({ type: "layout-shift", buffered: true });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) busy = entry.startTime + entry.duration;
    }).observe({ type: "longtask", buffered: true });
    document.fonts.addEventListener("loadingdone", () => { fontsAt = performance.now(); });
    const frame = () => {
      const number = found.reduce((sum, list) => sum + list.length, 0);
      if (number !== formulas) [formulas, formulasAt] = [number, performance.now()];
      if (!settled) requestAnimationFrame(frame);
    };
    frame();
  }

  const pause = (ms) => new Promise((done) => setTimeout(done, ms));

  // The milliseconds of a fixed piece of work, the least of some: the speed of this machine.
  function work() {
    let least = Infinity;
    for (let turn = 0; turn < 20; turn++) {
      const start = performance.now(), box = document.createElement("div");
      for (let i = 0; i < 4000; i++) {
        const word = document.createElement("span");
        word.textContent = `word ${i}`;
        box.append(word, " ");
      }
      document.body.append(box);
      box.getBoundingClientRect();
      box.remove();
      least = Math.min(least, performance.now() - start);
    }
    return least;
  }

  // Wait until the page has been loaded and quiet for so many milliseconds, a minute at most.
  async function settle(quiet) {
    while (performance.now() < 60_000 && (document.readyState !== "complete"
      || performance.now() - Math.max(busy, formulasAt, fontsAt) < quiet)) await pause(50);
  }

  // The figures of a first visit that has settled. Afterwards the page has been read to its
  // end, so that images that load late have loaded, and moved things if they do.
  async function firstVisit() {
    settled = true;
    const seconds = formulas ? Math.max(formulasAt, fontsAt) / 1000 : null;
    for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight) {
      scrollTo({ top: y, behavior: "instant" });
      await Promise.race([new Promise(requestAnimationFrame), pause(200)]);
    }
    for (const image of document.images) {
      if (image.checkVisibility()) await Promise.race([image.decode().catch(() => {}), pause(2000)]);
    }
    await pause(50);
    scrollTo({ top: 0, behavior: "instant" });
    const loaded = new Map(["navigation", "resource"]
      .flatMap((type) => performance.getEntriesByType(type))
      .map((entry) => [entry.name, entry]));
    const bytes = (entries) => entries.reduce((sum, entry) => sum + entry.decodedBodySize, 0);
    return {
      shift, seconds, formulas,
      bytes: bytes([...loaded.values()]),
      scripts: bytes([...loaded.values()].filter((entry) => entry.initiatorType === "script")),
    };
  }

  // ---- Helpers.

  const main = () => document.querySelector("[role=main], main") ?? document.body;
  const all = (selector, root = main()) => [...root.querySelectorAll(selector)];
  const text = (element) => element.textContent.trim().replace(/\s+/g, " ");

  function visible(element) {
    const box = element.getBoundingClientRect();
    return element.checkVisibility({ visibilityProperty: true, opacityProperty: true })
      && box.width > 1 && box.height > 1 && !element.closest(SCREEN_READERS_ONLY);
  }

  function name(element) {
    if (!element?.tagName) return String(element ?? "");
    const tag = element.tagName.toLowerCase();
    const mark = element.id ? `#${element.id}` : element.classList[0] ? `.${element.classList[0]}` : "";
    const words = element.getAttribute("src") ?? text(element);
    return tag + mark + (words ? ` "${words.slice(0, 40)}"` : "");
  }

  const labelled = (element) => (element.getAttribute("aria-label")
    ?? (text(element) || element.title || element.dataset.tooltip || "")).trim();

  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const colours = new Map();
  function rgba(colour) {
    if (!colours.has(colour)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      colours.set(colour, [...canvas.getImageData(0, 0, 1, 1).data]);
    }
    return colours.get(colour);
  }

  function luminance([red, green, blue]) {
    const linear = [red, green, blue].map((value) =>
      value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  }

  function contrast(first, second) {
    const [dark, light] = [luminance(first), luminance(second)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  }

  // The first opaque background behind an element, or none.
  function background(element) {
    for (let node = element; node; node = node.parentElement) {
      const colour = rgba(getComputedStyle(node).backgroundColor);
      if (colour[3] > 127) return colour;
    }
    return null;
  }

  // Everything in the text but the inner parts of formulas, of which there are thousands.
  function elements() {
    const walker = document.createTreeWalker(main(), NodeFilter.SHOW_ELEMENT, (node) =>
      node.parentElement.matches(FORMULA) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
    const list = [];
    while (walker.nextNode()) list.push(walker.currentNode);
    return list;
  }

  const scrolls = (element) => /auto|scroll/.test(getComputedStyle(element).overflowX)
    && element.scrollWidth > element.clientWidth + 1;
  const scrollers = () => elements().filter((element) => scrolls(element) && visible(element));

  // Whether a part of the element is out of reach: beyond the page, or beyond a box that hides it.
  function cut(element, width) {
    const box = element.getBoundingClientRect();
    const inline = getComputedStyle(element).display === "inline";
    const right = box.left + Math.max(box.width, inline ? 0 : element.scrollWidth);
    for (let node = element; node && !node.contains(main()); node = node.parentElement) {
      const overflow = getComputedStyle(node).overflowX;
      if (/auto|scroll/.test(overflow)) return false;
      const edges = node.getBoundingClientRect();
      if (/hidden|clip/.test(overflow) && (right > edges.right + SLACK || box.left < edges.left - SLACK)) return true;
    }
    return right > width + SLACK || box.left < -SLACK;
  }

  function cutElements(width) {
    const candidates = new Set([...all(BLOCKS),
      ...all(NEIGHBOURS, document).flatMap((link) => [link, ...link.querySelectorAll("*")])]);
    const faulty = [...candidates].filter((element) => visible(element)
      && !element.parentElement.closest("svg") && cut(element, width));
    return faulty.filter((element) => !faulty.some((other) => other !== element && element.contains(other)));
  }

  // Whether a line ends within a word of this code: between two letters or digits.
  function broken(code) {
    if (code.getClientRects().length < 2) return false;
    const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    let last = null;
    while (walker.nextNode()) {
      const node = walker.currentNode;
      for (let i = 0; i < node.data.length; i += 1) {
        range.setStart(node, i);
        range.setEnd(node, i + 1);
        const { bottom, height } = range.getBoundingClientRect();
        const letter = /[A-Za-z0-9]/.test(node.data[i]);
        if (letter && last?.letter && bottom - last.bottom > height / 2) return true;
        last = { bottom, letter };
      }
    }
    return false;
  }

  // A word that is longer than the line may be broken in prose; a table can scroll.
  function brokenCode(code) {
    const line = code.closest("td, th") ? Infinity : code.closest("p, li, dd, div")?.clientWidth;
    const length = [...code.getClientRects()].reduce((sum, box) => sum + box.width, 0);
    return !code.closest("pre") && visible(code) && length < line && broken(code);
  }

  // Characters in each full line of a paragraph: all lines but the last.
  function lineLengths(paragraph) {
    const walker = document.createTreeWalker(paragraph, NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    const lines = [0];
    let left = -Infinity;
    while (walker.nextNode()) {
      for (let i = 0; i < walker.currentNode.length; i += 1) {
        range.setStart(walker.currentNode, i);
        range.setEnd(walker.currentNode, i + 1);
        const box = range.getBoundingClientRect();
        if (!box.width) continue;
        if (box.left < left - 20) lines.push(0);
        lines[lines.length - 1] += 1;
        ({ left } = box);
      }
    }
    return lines.slice(0, -1);
  }

  // ---- The checks, by what the page is shown on.

  function everywhere(width) {
    const faults = scrollers().filter((box) => box.tabIndex < 0).map((box) => ["focus-scroll", box]);
    faults.push(...cutElements(width).map((element) => ["cut", element]));
    const page = Math.max(document.documentElement.scrollWidth, document.body.scrollWidth);
    if (page > width) faults.push(["sideways", `${page} px`]);
    return faults;
  }

  function phone({ width }) {
    const faults = everywhere(width);
    faults.push(...all("code").filter(brokenCode).map((code) => ["broken-word", code]));
    if (/\/day\d[^/]*\/index\.html$/.test(location.pathname)) {
      faults.push(...scrollers().map((box) => ["schedule", box]));
    }
    return faults;
  }

  function desktop({ width, line, sharp, description, minFullLines }) {
    const faults = everywhere(width);
    faults.push(...scrollers().map((box) => ["scrolls", box]));

    const lengths = all("p").filter((p) => visible(p) && !p.querySelector(FORMULA)
      && !p.closest("td, th, li, dd, aside, figure, .admonition, .sd-card")).flatMap(lineLengths);
    const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
    if (lengths.length >= minFullLines && (mean < line[0] || mean > line[1])) {
      faults.push(["line-length", `${Math.round(mean)} characters`]);
    }

    const images = [...document.images];
    for (const image of images) {
      if (!image.hasAttribute("width") || !image.hasAttribute("height")) faults.push(["image-size", image]);
      const box = image.getBoundingClientRect();
      if (image !== images[0] && box.top > innerHeight && image.loading !== "lazy") faults.push(["image-lazy", image]);
      if (!/\.svg$|^data:image\/svg/.test(image.currentSrc) && image.naturalWidth
        && image.naturalWidth < sharp * box.width) faults.push(["image-blurred", image]);
      const stretched = image.naturalHeight * box.width / (image.naturalWidth * box.height);
      if (getComputedStyle(image).objectFit === "fill" && Math.abs(stretched - 1) > 0.02) faults.push(["image-stretched", image]);
    }

    if (all("h1", document).length !== 1) faults.push(["h1", `${all("h1", document).length} of them`]);
    const ids = all("[id]", document).filter((element) => !element.closest("svg, math")).map(({ id }) => id);
    const repeated = new Set(ids.filter((id, i) => ids.indexOf(id) < i));
    faults.push(...[...repeated].map((id) => ["id", `#${id}`]));

    // Buttons and folds of one kind; that each has a name at all is a rule of axe-core.
    const folds = all("summary, button").filter((fold) => !/^(copy|$)/i.test(labelled(fold)));
    const kinds = Map.groupBy(folds, (fold) => (fold.matches("summary") ? fold.parentElement : fold).className);
    for (const kind of kinds.values()) {
      if (kind.length > 1 && new Set(kind.map(labelled)).size === 1) {
        faults.push(["same-names", `${kind.length} times "${labelled(kind[0])}"`]);
      }
    }

    faults.push(...all("a[href]", document).filter((link) => link.origin === location.origin
      && link.pathname.endsWith(".ipynb") && !link.hasAttribute("download")).map((link) => ["download", link]));

    const about = document.querySelector('meta[name="description"]')?.content.trim() ?? "";
    if (about.length < description[0] || about.length > description[1]) {
      faults.push(["description", `${about.length} characters`]);
    }

    const fields = all('input[type="search"], input[name="q"], button', document).filter((field) =>
      field.matches("input") || /search/i.test(labelled(field)));
    const seen = (field) => {
      const box = field.getBoundingClientRect();
      return visible(field) && field.contains(
        document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2));
    };
    if (!fields.some(seen)) faults.push(["search-field", ""]);
    return faults;
  }

  // After one press of Tab on a page that was just opened.
  function keyboard() {
    const first = document.activeElement;
    const faults = [];
    if (!first.matches('a[href^="#"], input[type="search"], input[name="q"]')) faults.push(["first-tab", first]);
    const kinds = new Map();
    for (const element of all("a[href], button, input, summary, select, [tabindex='0']", document)) {
      if (visible(element)) {
        const place = element.closest("nav, header, footer, aside, [role=main], main")?.tagName;
        kinds.set([place, element.tagName, element.type, ...element.classList].join(), element);
      }
    }
    for (const element of kinds.values()) {
      element.focus({ preventScroll: true });
      if (document.activeElement !== element) continue;
      const ring = [element, element.parentElement].map((node) => getComputedStyle(node)).some((style) =>
        (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none");
      if (!ring) faults.push(["focus-ring", element]);
    }
    document.activeElement.blur();
    return faults;
  }

  function colour({ scheme, text: ratio }) {
    const faults = [];
    const behind = background(main());
    if (!behind) return [["page-colour", "no background"]];
    const wrong = scheme === "dark" ? luminance(behind) > 0.2 : luminance(behind) < 0.7;
    if (wrong) faults.push(["page-colour", `rgb(${behind.slice(0, 3)})`]);
    const ink = getComputedStyle(main()).color;
    if (contrast(rgba(ink), behind) < ratio) faults.push(["page-colour", `text ${ink}`]);
    return faults;
  }

  function noScript({ size }) {
    const faults = [];
    const sample = all("p").find(visible) ?? main();
    const style = getComputedStyle(sample);
    if (parseFloat(style.fontSize) < size || /^"?(Times|serif)/.test(style.fontFamily)) {
      faults.push(["no-style", `${style.fontSize} ${style.fontFamily.split(",")[0]}`]);
    }
    faults.push(...all("pre, table, p, img").filter((element) => !element.checkVisibility()
      && !element.closest("details:not([open])")).map((element) => ["unreachable", element]));
    return faults;
  }

  // The width that is left on a page of so many pixels by the margins of @page, or Chromium's own.
  function printWidth(page, margin) {
    const probe = document.body.appendChild(document.createElement("div"));
    probe.style.position = "absolute";
    const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]);
    const inner = (rule) => (rule instanceof CSSMediaRule ? [...rule.cssRules].flatMap(inner) : [rule]);
    let width = page - 2 * margin;
    for (const rule of rules.flatMap(inner)) {
      if (!(rule instanceof CSSPageRule) || !rule.style.marginLeft) continue;
      const side = (value) => { probe.style.width = value; return probe.getBoundingClientRect().width; };
      width = page - side(rule.style.marginLeft) - side(rule.style.marginRight);
    }
    probe.remove();
    return Math.floor(width);
  }

  function print({ width, text: ratio }) {
    const wide = new Set([...scrollers(), ...cutElements(width)]);
    const faults = [...wide].filter((element) => element.querySelector("pre, table")
      || element.closest("pre, table") || element.querySelector(FORMULA) || element.matches(FORMULA))
      .map((element) => ["print-cut", element]);

    // Code that is folded on the screen is printed; of a solution it is enough that its title is.
    const stated = (code) => visible(code.closest("details, .dropdown, .solution")
      ?.querySelector("summary, .admonition-title") ?? code);
    faults.push(...all("pre").filter((code) => !code.checkVisibility()
      && !(code.closest(".solution, .dropdown, .toggle") && stated(code))).map((code) => ["print-folded", code]));

    faults.push(...all("nav, aside, [role=navigation]", document).filter((list) => visible(list)
      && all("a", list).filter(visible).length > 2).map((list) => ["print-contents", list]));
    faults.push(...all("figure").filter((figure) => visible(figure)
      && !getComputedStyle(figure).breakInside.startsWith("avoid")).map((figure) => ["print-split", figure]));

    const white = [255, 255, 255, 255];
    const pale = elements().filter((element) => {
      if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
        && !element.matches(FORMULA)) return false;
      const style = getComputedStyle(element);
      const paper = style.printColorAdjust === "exact" ? background(element) ?? white : white;
      return visible(element) && contrast(rgba(style.color), paper) < ratio;
    });
    faults.push(...pale.map((element) => ["print-pale", element]));
    return faults;
  }

  // One element for each combination of colour, background and size that text is set in.
  function eachColour() {
    const looks = new Map();
    for (const element of all("*", document.body)) {
      if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
      const { color, fontSize, fontWeight } = getComputedStyle(element);
      const look = [color, background(element), fontSize, fontWeight, !!element.closest("a")].join();
      if (!looks.has(look) && visible(element)) looks.set(look, element);
    }
    return [...looks.values()];
  }

  // axe-core measures contrast slowly: once for each combination of colours, not for each of
  // thousands of words. All its other rules see the whole page.
  async function runAxe(part) {
    const [where, options] = part === "colours"
      ? [{ include: eachColour() }, { runOnly: ["color-contrast", "link-in-text-block"] }]
      : [document, { rules: { "color-contrast": { enabled: false } } }];
    const { violations } = await axe.run(where, { resultTypes: ["violations"], preload: false, ...options });
    return violations.flatMap(({ id, impact, nodes }) =>
      nodes.map(({ target }) => ["axe", `${id} (${impact}) ${target}`]));
  }

  // The results of the search page once they have come: the first one's title, and those
  // without an excerpt.
  async function searchResults({ excerpt }) {
    const list = document.querySelector("#search-results") ?? main();
    const results = () => all("li", list).filter((item) => item.querySelector("a"));
    for (let i = 0, last = null; i < 20 && !(results().length && last === text(list)); i += 1) {
      last = text(list);
      await pause(300);
    }
    const title = (item) => text(item.querySelector("a"));
    return {
      first: results().length ? title(results()[0]) : "",
      bare: results().filter((item) => text(item).length - title(item).length < excerpt).map(title),
    };
  }

  const groups = { phone, desktop, keyboard, colour, noScript, print };
  const run = (group, options) => groups[group](options).map(([kind, element]) => [kind, name(element)]);
  return { work, watch, settle, firstVisit, printWidth, searchResults, runAxe, run };
})();
