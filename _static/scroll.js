/* Whatever scrolls sideways can be reached and moved with the keyboard; nothing else is a stop. */
"use strict";

const markScrolling = () => {
  const boxes = "pre, div.math, .table-wrapper, .cell_output .output";
  for (const box of document.querySelectorAll(`article :is(${boxes})`)) {
    const scrolls = box.scrollWidth > box.clientWidth + 1;
    if (scrolls) {
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", "Scrolls sideways");
    } else {
      box.removeAttribute("tabindex");
      box.removeAttribute("role");
      box.removeAttribute("aria-label");
    }
  }
};

// Also when the page has got its size, when that changes, and when something is unfolded.
new ResizeObserver(markScrolling).observe(document.querySelector("article"));
