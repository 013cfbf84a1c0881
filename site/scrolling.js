// What is wider than the screen scrolls sideways. A keyboard gets there, too: while it scrolls it can be focused.
"use strict";

(() => {
  const WIDE = "main pre, main div.sourceCode, main table.table, .lrcore-table-scroll, main math[display=block]";

  function start() {
    const watched = new ResizeObserver((entries) => {
      for (const { target } of entries) {
        const scrolls = target.scrollWidth > target.clientWidth && getComputedStyle(target).overflowX !== "visible";
        if (scrolls) target.tabIndex = 0;
        else target.removeAttribute("tabindex");
      }
    });
    document.querySelectorAll(WIDE).forEach((element) => watched.observe(element));
  }

  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
