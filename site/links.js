// A link at the end of every caption, which copies the address of what it tells of, with the study that is chosen.
"use strict";

(() => {
  async function copy(event) {
    const address = new URL(event.currentTarget.getAttribute("href"), location.href).href;
    try {
      await navigator.clipboard.writeText(address);
    } catch {
      // where the browser does not allow it, the link still leads there
    }
  }

  function start() {
    for (const captioned of document.querySelectorAll("main :is([id^='fig-'], [id^='tbl-']):has(figcaption)")) {
      const caption = captioned.querySelector("figcaption");
      if (caption.querySelector(".lrcore-anchor")) continue;
      const link = document.createElement("a");
      link.className = "lrcore-anchor";
      link.href = `#${captioned.id}`;
      link.textContent = "#";
      link.title = "Copy a link to this";
      link.setAttribute("aria-label", `Copy a link to this ${captioned.id.startsWith("fig") ? "figure" : "table"}`);
      link.addEventListener("click", copy);
      caption.append(link);
    }
  }

  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
