// What `lrcore.figures.picker` puts on a page: looks up what it worked out for a number of channels and a study.
"use strict";

(() => {
  function startPicker(root) {
    const studies = JSON.parse(root.querySelector(":scope > .lrcore-spec").textContent);
    const number = root.querySelector("input[type=number]");
    const slider = root.querySelector("input[type=range]"); // log2 of the number
    const study = root.querySelector("select");
    const fields = root.querySelectorAll("[data-said]");
    const showLiterature = startLiterature(root.querySelector(":scope > .lrcore-literature"), number);

    function show() {
      const valid = number.checkValidity();
      root.querySelector(".lrcore-problem").hidden = valid;
      root.querySelector("dl").hidden = !valid;
      root.querySelector(".lrcore-answer").style.visibility = valid ? "" : "hidden"; // it keeps its place
      const literature = root.querySelector(":scope > .lrcore-literature");
      if (literature) literature.style.visibility = valid ? "" : "hidden";
      if (!valid) return;
      showLiterature();
      const channels = number.valueAsNumber;
      const { least, steps } = studies[study.value];
      const answer = steps.filter(({ from }) => from <= channels).pop();
      const said = { ...answer, channels, least, shift: Math.sqrt(channels / least).toFixed(2) };
      for (const field of fields) {
        const text = String(said[field.dataset.said]);
        if (field.textContent !== text) field.textContent = text; // what stays is not read out again
      }
      slider.setAttribute("aria-valuetext", `${channels} channels`);
    }

    number.addEventListener("input", () => {
      if (number.checkValidity()) slider.value = Math.log2(number.valueAsNumber);
      show();
    });
    slider.addEventListener("input", () => {
      number.value = Math.round(2 ** slider.value);
      show();
    });
    study.addEventListener("change", show);
    show();
    root.dataset.live = "";
  }

  // What `lrcore.figures.picker_settings` put beside the answer: settings of the literature for latents as wide.
  function startLiterature(holder, number) {
    if (!holder) return () => {};
    const { rows, steps, kinds, nothing } = JSON.parse(holder.querySelector(":scope > .lrcore-spec").textContent);
    const filters = [...holder.querySelectorAll("select")]; // tokens, downsampling, family: the last three of a row
    const said = holder.querySelector("[data-literature]");
    const table = holder.querySelector(".lrcore-table-scroll");
    let before = "";

    function spans(found) {
      const parts = Object.entries(kinds).flatMap(([kind, name]) => {
        const of = found.filter((row) => row[1] === kind).sort((a, b) => a[2] - b[2]);
        if (!of.length) return [];
        const [low, high] = [of[0][3], of.at(-1)[3]];
        const sources = new Set(of.map((row) => row[4])).size;
        return [`${name} ${low === high ? low : `${low} to ${high}`} in ${sources} ${sources === 1 ? "source" : "sources"}`];
      });
      const text = parts.join("; ");
      return text ? `${text[0].toUpperCase()}${text.slice(1)}.` : nothing;
    }

    function show() {
      if (!number.checkValidity()) return;
      const wide = steps.filter(({ from }) => from <= number.valueAsNumber).pop().rows;
      const kept = wide.filter((at) => filters.every(({ value }, place) => !value || String(rows[at][5 + place]) === value));
      if (before === (before = kept.join())) return; // what stays is not read out again
      const found = kept.map((at) => rows[at]);
      said.textContent = spans(found);
      table.hidden = !found.length;
      // cells are HTML that the page's own script element holds
      const lines = found.map(([cells]) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`);
      table.querySelector("tbody").innerHTML = lines.join("");
    }
    for (const filter of filters) filter.addEventListener("change", show);
    return show;
  }

  function start() {
    document.querySelectorAll(".lrcore-picker").forEach(startPicker);
  }

  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
