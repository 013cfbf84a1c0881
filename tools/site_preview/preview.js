// The frame of the preview: light and dark (the classes Quarto uses), a button that copies code.
"use strict";

const key = "lrcore-preview-theme";
const body = document.body;

function show(theme) {
  body.classList.toggle("quarto-dark", theme === "dark");
  body.classList.toggle("quarto-light", theme !== "dark");
}

const system = matchMedia("(prefers-color-scheme: dark)");
const chosen = () => localStorage.getItem(key);
const wanted = () => chosen() ?? (body.dataset.followsSystem === "yes" && system.matches ? "dark" : "light");

show(wanted());
system.addEventListener("change", () => show(wanted()));
document.getElementById("theme-toggle").addEventListener("click", () => {
  localStorage.setItem(key, body.classList.contains("quarto-dark") ? "light" : "dark");
  show(wanted());
});

// Beside the text there is room for the table of contents; above it, unfolding it would move the text.
if (matchMedia("(min-width: 1200px)").matches) document.querySelector("details.toc")?.setAttribute("open", "");

if (body.dataset.copiesCode === "yes" && navigator.clipboard) {
  for (const block of document.querySelectorAll("div.sourceCode")) {
    const button = document.createElement("button");
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.querySelector("code").textContent);
      button.textContent = "Copied";
    });
    block.append(button);
  }
}
