/* Results of a search: one entry for each page, with its description and the sections that match.
   Pages named for the words come first, then those with a section named for them, in the order of
   the course. Everything is in the page, so that it works from disk too. */
"use strict";

Search.performSearch = (query) => {
  if (Search.hasIndex()) Search.query(query);
  else Search.deferQuery(query);
};

Search.query = (query) => {
  const words = splitQuery(query.toLowerCase());
  const { docnames, titles } = Search._index;
  const pages = new Map();
  for (const result of Search._performSearch(...Search._parseQuery(query))) {
    const [name, label, anchor] = result;
    const title = titles[docnames.indexOf(name)];
    if (!pages.has(name)) pages.set(name, { name, title, sections: new Map() });
    if (anchor && label !== title) pages.get(name).sections.set(anchor, label.replace(`${title} > `, ""));
  }

  // A title counts the more the more of it the words are, and far more if it has all of them.
  const named = (title) => {
    const parts = splitQuery(title.toLowerCase());
    const found = words.filter((word) => parts.some((part) => part.startsWith(word)));
    const all = words.length > 0 && found.length === words.length;
    const first = parts.slice(0, words.length).join() === words.join();
    return found.join("").length / title.length + (all ? 2 : 0) + (first ? 2 : 0);
  };
  const score = (page) => named(page.title) + (page.sections.size ? 1 : 0);
  const place = (page) => docnames.indexOf(page.name);
  const ordered = [...pages.values()].sort((a, b) => score(b) - score(a) || place(a) - place(b));

  const link = (parent, address, label) => {
    const anchor = parent.appendChild(document.createElement("a"));
    anchor.href = address;
    anchor.innerHTML = label;
  };
  const list = document.createElement("ul");
  list.className = "search";
  for (const { name, title, sections } of ordered) {
    const address = name + DOCUMENTATION_OPTIONS.LINK_SUFFIX;
    const item = list.appendChild(document.createElement("li"));
    link(item, address, title);
    item.appendChild(document.createElement("p")).textContent = DESCRIPTIONS[name] ?? "";
    if (!sections.size) continue;
    const places = item.appendChild(document.createElement("p"));
    places.className = "sections";
    sections.forEach((label, anchor) => link(places, address + anchor, label));
  }
  document.getElementById("search-status").textContent = ordered.length
    ? `“${query}” is on ${ordered.length} ${ordered.length === 1 ? "page" : "pages"}.`
    : `Nothing found for “${query}”. Try another word, or look it up in the glossary.`;
  document.getElementById("search-results").replaceChildren(list);
};
