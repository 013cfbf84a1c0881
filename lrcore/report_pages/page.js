// Before the scripts of the site: the theme of the system, the pictures of comparisons, what is folded away on paper.
"use strict";

(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    document.body.classList.toggle("quarto-dark", system.matches);
    document.body.classList.toggle("quarto-light", !system.matches);
  };
  show();
  system.addEventListener("change", show);

  // Every picture stands in the page once; a comparison names it by its id.
  const held = (link) => {
    const picture = document.querySelector(link);
    return picture.getAttribute("href") ?? picture.getAttribute("src");
  };
  for (const holder of document.querySelectorAll(".lrcore-comparison > .lrcore-spec")) {
    const things = JSON.parse(holder.textContent);
    for (const { left, rights } of things) for (const one of [left, ...rights]) one.link = held(one.link);
    holder.textContent = JSON.stringify(things);
  }

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open], .lrcore-on-screen)")];
    for (const one of folded) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
  });
})();
