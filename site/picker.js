// What `lrcore.figures.picker` puts on a page: looks up what it worked out for a number of channels and a study.
"use strict";

(() => {
  function startPicker(root) {
    const studies = JSON.parse(root.querySelector(":scope > .lrcore-spec").textContent);
    const number = root.querySelector("input[type=number]");
    const slider = root.querySelector("input[type=range]"); // log2 of the number
    const study = root.querySelector("select");
    const fields = root.querySelectorAll("[data-said]");

    function show() {
      const valid = number.checkValidity();
      root.querySelector(".lrcore-problem").hidden = valid;
      root.querySelector("dl").hidden = !valid;
      root.querySelector(".lrcore-answer").style.visibility = valid ? "" : "hidden"; // it keeps its place
      if (!valid) return;
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

  function start() {
    document.querySelectorAll(".lrcore-picker").forEach(startPicker);
  }

  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
