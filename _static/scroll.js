/* Whatever scrolls sideways can be reached and moved with the keyboard; nothing else is a stop. */
"use strict";

const SCROLLERS = "pre, div.math, .table-wrapper, .cell_output .output";

const markScrolling = () => {
  const boxes = [...document.querySelectorAll(`article :is(${SCROLLERS})`)];
  // Measured all at once: a change in between would lay out the page anew for each box.
  const changed = boxes.filter(
    (box) => box.scrollWidth > box.clientWidth + 1 !== box.hasAttribute("tabindex"),
  );
  for (const box of changed) {
    if (box.hasAttribute("tabindex")) {
      box.removeAttribute("tabindex");
      box.removeAttribute("role");
      box.removeAttribute("aria-label");
    } else {
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", "Scrolls sideways");
    }
  }
};

// Also when the page has got its size, when that changes, and when something is unfolded.
new ResizeObserver(markScrolling).observe(document.querySelector("article"));
