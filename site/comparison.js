// What `lrcore.figures.comparison` puts on a page: a handle between two pictures, and a box that is enlarged.
// The markup shows the first choice with the handle in the middle; this script makes it move.
"use strict";

(() => {
  const between = (low, value, high) => Math.min(Math.max(value, low), high);

  function startComparison(root, things) {
    const [whole, enlarged] = root.querySelectorAll(".lrcore-stage");
    const handle = root.querySelector("input[type=range]");
    const choices = { thing: null, right: null };
    for (const select of root.querySelectorAll("select")) choices[select.dataset.choice] = select;
    const thingNow = () => things[choices.thing?.selectedIndex ?? 0];
    const rightNow = () => thingNow().rights[choices.right?.selectedIndex ?? 0];

    // ---- the two pictures ----------------------------------------------------------------------------------------

    function showPictures() {
      const { label, width, height, left, caption } = thingNow();
      const right = rightNow();
      const alt = `${label}: ${left.label} to the left of the handle, ${right.label} to its right`;
      for (const stage of [whole, enlarged].filter(Boolean)) {
        const pictures = stage.querySelectorAll("svg");
        pictures[0].setAttribute("aria-label", stage === whole ? alt : `${alt}, enlarged`);
        [right, left].forEach(({ link }, number) => {
          const image = pictures[number].querySelector("image");
          image.setAttribute("href", link);
          image.setAttribute("width", width);
          image.setAttribute("height", height);
        });
      }
      setView(whole, `0 0 ${width} ${height}`);
      const [leftName, rightName] = root.querySelectorAll(".lrcore-sides span");
      leftName.textContent = left.label;
      rightName.textContent = right.label;
      root.querySelector(".lrcore-caption").textContent = caption;
      divide();
    }

    function setView(stage, view) {
      for (const picture of stage.querySelectorAll("svg")) picture.setAttribute("viewBox", view);
    }

    function divide() {
      const share = Number(handle.value);
      root.style.setProperty("--divide", `${share}%`);
      const said = `${share} % ${thingNow().left.label}, ${100 - share} % ${rightNow().label}`;
      handle.setAttribute("aria-valuetext", said);
    }

    // ---- the box -------------------------------------------------------------------------------------------------

    const grip = root.querySelector(".lrcore-box");
    let box = null; // in whole pixels of the picture, as `thing.box`

    function moveBox(left, top) {
      const { width, height } = thingNow();
      box.left = between(0, Math.round(left), width - box.side);
      box.top = between(0, Math.round(top), height - box.side);
      const percent = (part, all) => `${(100 * part) / all}%`;
      Object.assign(grip.style, {
        left: percent(box.left, width),
        top: percent(box.top, height),
        width: percent(box.side, width),
        height: percent(box.side, height),
      });
      grip.setAttribute("aria-valuemin", 0);
      grip.setAttribute("aria-valuemax", width - box.side);
      grip.setAttribute("aria-valuenow", box.left);
      grip.setAttribute("aria-valuetext", `${box.left} pixels from the left, ${box.top} from the top`);
      setView(enlarged, `${box.left} ${box.top} ${box.side} ${box.side}`);
    }

    function resetBox() {
      box = { ...thingNow().box };
      moveBox(box.left, box.top);
    }

    // Where the pointer is, in pixels of the picture.
    function under({ clientX, clientY }) {
      const { left, top, width, height } = whole.getBoundingClientRect();
      const thing = thingNow();
      return [((clientX - left) / width) * thing.width, ((clientY - top) / height) * thing.height];
    }

    function startBox() {
      const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      grip.addEventListener("keydown", (event) => {
        const arrow = arrows[event.key];
        if (!arrow || event.altKey || event.ctrlKey || event.metaKey) return;
        event.preventDefault(); // the page would scroll
        const step = event.shiftKey ? 1 : Math.max(1, Math.round(thingNow().width / 64));
        moveBox(box.left + step * arrow[0], box.top + step * arrow[1]);
      });
      let held = null; // where in the box the pointer took hold of it
      grip.addEventListener("pointerdown", (event) => {
        const [x, y] = under(event);
        held = [x - box.left, y - box.top];
        grip.setPointerCapture(event.pointerId);
      });
      grip.addEventListener("pointermove", (event) => {
        if (!held) return;
        const [x, y] = under(event);
        moveBox(x - held[0], y - held[1]);
      });
      for (const end of ["pointerup", "pointercancel"]) grip.addEventListener(end, () => (held = null));
      whole.addEventListener("click", (event) => {
        if (event.target === grip) return;
        const [x, y] = under(event);
        moveBox(x - box.side / 2, y - box.side / 2);
      });
    }

    // --------------------------------------------------------------------------------------------------------------

    handle.addEventListener("input", divide);
    choices.right?.addEventListener("change", showPictures);
    choices.thing?.addEventListener("change", () => {
      showPictures();
      if (grip) resetBox();
    });
    showPictures();
    if (!grip) return;
    startBox();
    resetBox();
  }

  // What to show stands in the page, or, for a study that is not shown at first, in a file beside it.
  async function fetchAndStart(root, address) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${answer.url} answers ${answer.status}`);
    startComparison(root, await answer.json());
  }

  function start() {
    const shown = new IntersectionObserver((entries) => {
      for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
        shown.unobserve(target);
        fetchAndStart(target, target.querySelector(":scope > .lrcore-spec").dataset.from).catch((error) =>
          console.error("cannot show a comparison:", error),
        );
      }
    });
    for (const root of document.querySelectorAll(".lrcore-comparison")) {
      const script = root.querySelector(":scope > .lrcore-spec");
      if (script.dataset.from) shown.observe(root);
      else startComparison(root, JSON.parse(script.textContent));
    }
  }

  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
