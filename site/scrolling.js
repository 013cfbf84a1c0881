// What is wider than the screen scrolls sideways. A keyboard gets there, too: while it scrolls it can be focused.
"use strict";

(() => {
  const WIDE = "main pre, main div.sourceCode, main table.table, .lrcore-table-scroll, main math[display=block]";

  // Paths in code break after their parts, never in a word; an option is one word.
  function startCode() {
    for (const code of document.querySelectorAll("main :not(pre) > code")) {
      if (code.childElementCount) continue;
      const text = code.textContent;
      if (/^--?[\w-]+$/.test(text)) code.classList.add("lrcore-option");
      const parts = text.split(/(?<=[/=])(?=[\w<*])/);
      if (parts.length > 1) code.replaceChildren(...parts.flatMap((part) => [part, document.createElement("wbr")]).slice(0, -1));
    }
  }

  function start() {
    startCode();
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
