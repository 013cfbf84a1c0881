// Draws what `lrcore.figures.embed` puts on a page: every figure when it comes near the screen, every long table at once.
// plotly.js and the DataTables bundle of itables are loaded only by pages that need them, from this site. A report is one
// file: plotly.js stands packed in it (`lrcore.report_pages.page`), and its tables need no script.
"use strict";

(() => {
  const here = document.currentScript.src;
  const vendor = here && new URL("vendor/", here);
  const NARROW = 600; // pixels: below this width a figure's legend goes below it
  const NEAR = 300; // pixels: a figure that is nearer to the screen is drawn
  const PAPER = 640; // pixels: fits a page of A4 or letter beside its margins
  // pixels: leaves room on a page for what introduces a figure, and little of it empty
  const HIGHEST = Number(document.body?.dataset.highest ?? 560);
  const READABLE = 4.5; // contrast of marks and lines with the page in the dark

  const palettes = {
    light: { text: "#1f2328", grid: "#d8dee4", line: "#6e7781", hover: "#ffffff", page: "#ffffff" },
    dark: { text: "#e6edf3", grid: "#3a424c", line: "#9198a1", hover: "#22272e", page: "#161b22" },
  };

  // A finger that goes over a figure scrolls the page, or the figure where that is wider than the screen.
  const touched = matchMedia("(pointer: coarse)");
  let onPaper = false;
  const isDark = () => !onPaper && document.body.classList.contains("quarto-dark");
  const theme = () => (isDark() ? "dark" : "light");
  // Work in pieces: between two of them the browser gets to what the reader does.
  const pause = () => new Promise((resolve) => setTimeout(resolve));
  const report = (element, error) => console.error(`cannot draw ${element.id}:`, error);

  // What to draw stands in the page, or, for a study that is not shown at first, in a file beside it.
  const specs = new Map();
  async function specOf(element) {
    if (specs.has(element)) return specs.get(element);
    const holder = element.querySelector(":scope > .lrcore-spec");
    let spec;
    if (holder.dataset.from) {
      const answer = await fetch(holder.dataset.from);
      if (!answer.ok) throw new Error(`${answer.url} answers ${answer.status}`);
      spec = await answer.json();
    } else {
      spec = JSON.parse(holder.textContent);
    }
    keep(element, spec);
    return spec;
  }
  function keep(element, spec) {
    specs.set(element, spec);
    element.dataset.loaded = ""; // printing it need not wait any more
  }

  // ---- figures -------------------------------------------------------------------------------------------------

  let plotlyScript = null;
  function loadPlotly() {
    const packed = document.getElementById("lrcore-plotly");
    if (packed) return (plotlyScript ??= unpackPlotly(packed));
    plotlyScript ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL("plotly.min.js", vendor);
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => {
        plotlyScript = null; // the next figure tries again
        reject(new Error(`${script.src} did not load`));
      };
      document.head.append(script);
    });
    return plotlyScript;
  }

  async function unpackPlotly(packed) {
    const bytes = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(unpacked).text();
    document.head.append(script);
    return window.Plotly;
  }

  // Colours go into the layout's template, so that whatever the figure itself chose stays as it is.
  function themed(layout) {
    const colours = palettes[theme()];
    const own = layout.template ?? {};
    const ownLayout = own.layout ?? {};
    const axis = (name) => ({
      ...ownLayout[name],
      gridcolor: colours.grid,
      linecolor: colours.line,
      tickcolor: colours.line,
      zerolinecolor: colours.grid,
    });
    return {
      ...own,
      layout: {
        ...ownLayout,
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { ...ownLayout.font, color: colours.text, family: getComputedStyle(document.body).fontFamily },
        xaxis: axis("xaxis"),
        yaxis: axis("yaxis"),
        hoverlabel: { ...ownLayout.hoverlabel, bgcolor: colours.hover, font: { color: colours.text } },
        annotations: [{ name: "on-page", visible: false, bgcolor: colours.page }],
        annotationdefaults: { ...ownLayout.annotationdefaults, arrowcolor: colours.line },
        shapedefaults: { ...ownLayout.shapedefaults, line: { ...ownLayout.shapedefaults?.line, color: colours.line } },
      },
    };
  }

  // Colours are chosen for a light page: in the dark those that hardly stand out are mixed with white until they do.
  const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  function luminance(hex) {
    const [r, g, b] = channels(hex).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
  function lighter(colour) {
    if (Array.isArray(colour)) return colour.map(lighter);
    if (typeof colour !== "string" || !/^#[0-9a-f]{6}$/i.test(colour)) return colour;
    const ground = luminance(palettes.dark.page) + 0.05;
    let mixed = colour;
    for (let share = 0.1; (luminance(mixed) + 0.05) / ground < READABLE && share < 1; share += 0.1) {
      const parts = channels(colour).map((part) => Math.round(part + (255 - part) * share));
      mixed = `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
    }
    return mixed;
  }
  const recoloured = (holder) => (holder && "color" in holder ? { ...holder, color: lighter(holder.color) } : holder);
  const FAINT = 0.25; // more opacity for faint points, which are dark on dark
  function inTheDark({ data, layout }) {
    const traces = data.map((trace) => {
      const marker = recoloured(trace.marker);
      const shown = { ...trace, marker };
      for (const part of ["line", "textfont", "error_x", "error_y"]) shown[part] = recoloured(trace[part]);
      if (marker?.opacity < 1) shown.marker = { ...marker, opacity: Math.min(1, marker.opacity + FAINT) };
      for (const part of Object.keys(shown)) if (shown[part] === undefined) delete shown[part];
      return shown;
    });
    const annotations = layout.annotations?.map((one) => (one.font ? { ...one, font: recoloured(one.font) } : one));
    return { data: traces, layout: annotations ? { ...layout, annotations } : layout };
  }

  function layoutFor(spec, width) {
    const layout = { ...structuredClone(spec.layout), autosize: true };
    delete layout.width;
    layout.template = themed(layout);
    if (touched.matches) {
      layout.dragmode = false;
      for (const name of Object.keys(layout)) if (/^[xy]axis\d*$/.test(name)) layout[name].fixedrange = true;
      layout.template.layout.xaxis.fixedrange = layout.template.layout.yaxis.fixedrange = true;
    }
    if (width >= NARROW) return layout;
    if (layout.meta?.legend !== "inside") {
      layout.legend = { ...layout.legend, orientation: "h", x: 0, xanchor: "left", yref: "container", y: 0, yanchor: "bottom" };
    }
    const margin = { l: 60, ...layout.template.layout.margin, ...layout.margin };
    layout.margin = { ...margin, l: Math.min(margin.l, 60), r: layout.margin?.r ?? 12 };
    return layout;
  }

  // What is drawn now: the figure itself, or the frame that its slider stands at.
  function shownOf(spec, figure) {
    const slider = figure.querySelector(":scope > .lrcore-stepper input");
    return slider ? spec.frames[Number(slider.value)] : spec;
  }

  function drawAt(Plotly, figure, spec, width) {
    const plot = figure.querySelector(".lrcore-plot");
    const shown = shownOf(spec, figure);
    const { data, layout: own } = isDark() ? inTheDark(shown) : shown;
    plot.querySelectorAll(":scope > :is(.lrcore-alt, .lrcore-still)").forEach((before) => before.remove());
    const layout = layoutFor({ layout: own }, width);
    layout.height ??= parseInt(plot.style.minHeight, 10);
    if (onPaper) Object.assign(layout, { width, height: Math.min(layout.height, HIGHEST) });
    const drawing = Plotly.react(plot, data, layout, { responsive: true, displayModeBar: false });
    plot.setAttribute("role", "group"); // it holds buttons now, which an image must not
    figure.dataset.drawn = theme();
    figure.dataset.width = width;
    return drawing;
  }

  async function draw(figure) {
    try {
      const [Plotly, spec] = await Promise.all([loadPlotly(), specOf(figure)]);
      await pause();
      await drawAt(Plotly, figure, spec, figure.clientWidth);
      link(Plotly, figure.querySelector(".lrcore-plot"));
    } catch (error) {
      report(figure, error);
    }
  }

  // Where a figure says so, points that carry the same customdata are one thing seen in several panels: pointing at one
  // marks all.
  function link(Plotly, plot) {
    if (!plot.layout.meta?.linked) return;
    const traces = plot.data.flatMap(({ customdata }, number) => (customdata ? [number] : []));
    plot.removeAllListeners("plotly_hover");
    plot.removeAllListeners("plotly_unhover");
    const mark = (thing) => {
      const same = (number) => plot.data[number].customdata.flatMap((other, at) => (other === thing ? [at] : []));
      const marked = traces.map((number) => (thing === null ? null : same(number)));
      Plotly.restyle(plot, { selectedpoints: marked }, traces);
    };
    plot.on("plotly_hover", ({ points }) => points[0].customdata !== undefined && mark(points[0].customdata));
    plot.on("plotly_unhover", () => mark(null));
  }

  const shownFigures = () =>
    [...document.querySelectorAll(".lrcore-figure[data-drawn]")].filter((figure) => figure.clientWidth);

  const isNarrow = (width) => width < NARROW;

  // Plotly itself follows the window, as long as a figure is shown.
  function redrawAfterResize() {
    for (const figure of shownFigures()) {
      if (isNarrow(figure.dataset.width) !== isNarrow(figure.clientWidth)) draw(figure);
      figure.dataset.width = figure.clientWidth;
    }
  }

  // What was hidden meanwhile was not redrawn: it had no width to be drawn at.
  function redrawWhatIsShown() {
    for (const figure of document.querySelectorAll(".lrcore-figure:not([data-drawn])")) {
      const { top, bottom } = figure.getBoundingClientRect();
      if (figure.checkVisibility() && bottom > -NEAR && top < innerHeight + NEAR) draw(figure);
    }
    for (const figure of shownFigures()) {
      if (figure.dataset.drawn !== theme() || Number(figure.dataset.width) !== figure.clientWidth) draw(figure);
    }
  }

  function startSlider(figure) {
    const slider = figure.querySelector(":scope > .lrcore-stepper input");
    if (!slider) return;
    slider.parentElement.dataset.live = "";
    slider.addEventListener("input", () => {
      const label = JSON.parse(slider.dataset.steps)[Number(slider.value)];
      slider.setAttribute("aria-valuetext", label);
      slider.nextElementSibling.textContent = label;
      if (figure.dataset.drawn) draw(figure);
    });
  }

  function startFigures() {
    const figures = document.querySelectorAll(".lrcore-figure");
    if (!figures.length) return;
    figures.forEach(startSlider);
    const near = new IntersectionObserver(
      (entries) => {
        for (const { isIntersecting, target } of entries) {
          if (!isIntersecting) continue;
          near.unobserve(target);
          draw(target);
        }
      },
      { rootMargin: `${NEAR}px 0px` },
    );
    figures.forEach((figure) => near.observe(figure));
    new MutationObserver(redrawWhatIsShown).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    addEventListener("resize", redrawAfterResize);
    startPrinting([...figures]);
  }

  // Paper shows every figure of the chosen study, also those the reader has not scrolled to, in the colours of paper.
  // Printing does not wait: what it needs is loaded when the page has nothing else to do.
  function startPrinting(figures) {
    const visible = () => figures.filter((figure) => figure.checkVisibility());
    const prepare = () => Promise.allSettled([loadPlotly(), ...visible().map(specOf)]);
    const BUSY = 2000; // milliseconds: longer than this a page that is always busy does not put it off
    const soon = () => (window.requestIdleCallback ? requestIdleCallback(prepare, { timeout: BUSY }) : setTimeout(prepare));
    addEventListener("load", soon);
    addEventListener("change", soon); // another study has figures of its own
    addEventListener("beforeprint", () => {
      onPaper = true;
      for (const figure of visible()) {
        try {
          if (window.Plotly && specs.has(figure)) drawAt(window.Plotly, figure, specs.get(figure), PAPER);
        } catch (error) {
          report(figure, error);
        }
      }
    });
    addEventListener("afterprint", () => {
      onPaper = false;
      visible().forEach(draw);
    });
  }

  // ---- tables --------------------------------------------------------------------------------------------------

  let tableBundle = null;
  function loadTables() {
    tableBundle ??= (async () => {
      const style = document.createElement("link");
      style.rel = "stylesheet";
      style.href = new URL("dt_bundle.css", vendor);
      document.head.append(style);
      const bundle = await import(new URL("dt_bundle.js", vendor));
      bundle.default.ext.errMode = "throw"; // rather than a dialog in the reader's face
      bundle.set_or_remove_dark_class(); // from here on the bundle follows the class of <body> itself
      return bundle;
    })();
    return tableBundle;
  }

  // Tables behind a switch wait until they are shown: one that is hidden has no width to lay its columns out in.
  async function startTables() {
    const tables = [...document.querySelectorAll(".lrcore-table:not([data-drawn]):has(> .lrcore-spec)")].filter(
      (holder) => !holder.closest(".lrcore-choice[hidden]"),
    );
    if (!tables.length) return;
    try {
      const { ITable } = await loadTables();
      for (const holder of tables) {
        await pause();
        if (holder.dataset.drawn) continue;
        try {
          const table = holder.querySelector("table");
          const options = await specOf(holder);
          table.className = "compact";
          new ITable(table, options);
          holder.dataset.drawn = "true";
        } catch (error) {
          report(holder, error);
          holder.dataset.plain = "true";
        }
      }
    } catch (error) {
      console.error("tables stay plain:", error);
      for (const holder of tables) holder.dataset.plain = "true";
    }
  }

  // ---- switches ------------------------------------------------------------------------------------------------

  function choose(holder, choice) {
    for (const part of holder.querySelectorAll(":scope > .lrcore-choice")) part.hidden = part.dataset.choice !== choice;
    for (const button of holder.querySelectorAll(":scope > fieldset input")) button.checked = button.value === choice;
  }

  // The choice stands in the address, so that a link or a reload shows the same.
  function note(choice) {
    const address = new URL(location.href);
    address.searchParams.set("study", choice);
    history.replaceState(history.state, "", address);
  }

  // Other switches choose a view of what is shown, such as what the area of points stands for.
  const labelOf = (holder) => holder.querySelector(":scope > fieldset > legend").textContent;
  const isOfStudies = (holder) => labelOf(holder) === "Study";

  const offers = (holder, choice) =>
    [...holder.querySelectorAll(":scope > fieldset input")].some((button) => button.value === choice);

  // One choice sets all switches of its label that offer it, so that a page speaks of one study at a time.
  function startSwitches() {
    const switches = [...document.querySelectorAll(".lrcore-switch")];
    const asked = new URL(location.href).searchParams.get("study");
    switches.filter((holder) => isOfStudies(holder) && offers(holder, asked)).forEach((holder) => choose(holder, asked));
    for (const holder of switches) {
      holder.querySelector(":scope > fieldset").addEventListener("change", ({ target }) => {
        const before = holder.getBoundingClientRect().top;
        const alike = switches.filter((other) => labelOf(other) === labelOf(holder) && offers(other, target.value));
        alike.forEach((other) => choose(other, target.value));
        if (isOfStudies(holder)) note(target.value);
        // what changed height above must not carry the reader away from the button
        scrollBy({ top: holder.getBoundingClientRect().top - before, behavior: "instant" });
        startTables();
        redrawWhatIsShown();
      });
    }
  }

  // For scripts of single pages: draws something else in a figure, or a table where there was none.
  window.lrcoreShow = (element, spec) => {
    keep(element, spec);
    return element.matches(".lrcore-figure") ? draw(element) : startTables();
  };

  function start() {
    startSwitches();
    startFigures();
    startTables();
  }

  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
