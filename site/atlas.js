// What `lrcore.figures.atlas_scatter`, `atlas_table` and `atlas_marks` put on a page: the scatter of a chosen group, the
// table of everything, the profile of a chosen autoencoder, and where the figures of a chosen mark stand. What is chosen
// is fetched then, and stands in the address.
"use strict";

(() => {
  const vendor = new URL("vendor/", document.currentScript.src);

  const kept = new Map();
  function specOf(holder) {
    if (!kept.has(holder)) kept.set(holder, read(holder));
    return kept.get(holder);
  }

  async function read(holder) {
    const script = holder.querySelector(":scope > .lrcore-spec");
    if (!script.dataset.from) return JSON.parse(script.textContent);
    const answer = await fetch(script.dataset.from);
    if (!answer.ok) throw new Error(`${answer.url} answers ${answer.status}`);
    return answer.json();
  }

  const asked = new URL(location.href).searchParams;
  function note(values) {
    const address = new URL(location.href);
    for (const [name, value] of Object.entries(values)) address.searchParams.set(name, value);
    history.replaceState(history.state, "", address);
  }

  const has = (select, value) => [...select.options].some((option) => option.value === value);
  const show = (controls) => (controls.style.visibility = "visible");
  const report = (holder, error) => console.error(`cannot show ${holder.id}:`, error);

  function make(name, text = "", attributes = {}) {
    const element = document.createElement(name);
    element.textContent = text;
    for (const [key, value] of Object.entries(attributes)) if (value) element.setAttribute(key, value);
    return element;
  }
  const linked = (text, url) => (/^https?:/.test(url) ? make("a", text, { href: url }) : document.createTextNode(text));

  // ---- scatter -------------------------------------------------------------------------------------------------

  function startScatter(root) {
    const figure = document.getElementById(root.dataset.figure);
    const plot = figure.querySelector(".lrcore-plot");
    const [group, x, y] = ["group", "x", "y"].map((name) => root.querySelector(`select[data-choice=${name}]`));
    let shown = null; // the points that are drawn, by name

    // The latents of the chosen group that have both quantities, a list a family.
    function chosen(spec) {
      const found = spec.groups.find((one) => one.group === group.value);
      const both = found.latents.filter(([, , , , values]) => values[x.value] && values[y.value]);
      return { about: found.about, both };
    }

    // What the reader chose last, or the page: groups without it show another, those after them show it again.
    const wanted = { x: x.value, y: y.value };

    function offer(spec) {
      const { quantities } = spec.groups.find((one) => one.group === group.value);
      const there = (name) => quantities.includes(name);
      for (const select of [x, y]) {
        select.replaceChildren(...quantities.map((name) => make("option", spec.labels[name], { value: name })));
      }
      const first = (names, other) => names.find(there) ?? quantities.find((name) => name !== other);
      y.value = first([wanted.y, "gfid"], first([wanted.x, "rfid"], ""));
      x.value = first([wanted.x, "rfid"], y.value);
      if (x.value === y.value && wanted.x !== wanted.y) x.value = quantities.find((name) => name !== y.value);
    }

    const isWide = (spec, values) => Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) >= spec.log;
    function axis(spec, values) {
      if (!values.length) return { type: "linear" };
      const log = isWide(spec, values);
      const places = log ? values.map(Math.log10) : values;
      const [low, high] = [Math.min(...places), Math.max(...places)];
      const pad = spec.pad * (high - low) || 0.05;
      const range = [low - pad, high + pad];
      return log ? { type: "log", dtick: "D2", tickformat: "~g", range } : { type: "linear", range };
    }
    function titled(spec, name, { type }) {
      const way = spec.better[name] ? `, ${spec.better[name]} is better` : "";
      return `${spec.labels[name]}${way}${type === "log" ? ", log scale" : ""}`;
    }

    // As `atlas_scatter.name_outermost`: names of the best and the outermost points, of those that have room.
    function names(spec, both, axes) {
      const { character, line, gap, corner, plots, places } = spec.room;
      const shares = [x, y].map((one, at) => {
        const { type, range } = axes[at];
        const values = both.map((latent) => latent[4][one.value][0]);
        return values.map((value) => ((type === "log" ? Math.log10(value) : value) - range[0]) / (range[1] - range[0]));
      });
      const end = ([of, way]) => {
        const wanted = way === "lower" ? Math.min(...shares[of]) : Math.max(...shares[of]);
        return shares[of].indexOf(wanted);
      };
      const [across, up] = [x, y].map((one) => spec.better[one.value]);
      const ends = [[1, up], [0, across], [1, "higher"], [0, "higher"], [1, "lower"], [0, "lower"]];
      const told = new Set(ends.filter(([, way]) => way).map(end));
      const awayOf = (at, [vertical, horizontal]) =>
        (vertical === "middle" || horizontal === "center" ? 1 : corner) * (both[at][3] / 2 + gap);
      const box = (at, place, [width, height]) => {
        const [vertical, horizontal] = place.split(" ");
        const away = awayOf(at, [vertical, horizontal]);
        const wide = character * [...both[at][0]].length;
        const left = shares[0][at] * width + { left: -away - wide, center: -wide / 2, right: away }[horizontal];
        const bottom = shares[1][at] * height + { top: away, middle: -line / 2, bottom: -away - line }[vertical];
        return [left, bottom, left + wide, bottom + line];
      };
      const meet = (one, other) =>
        Math.min(one[2], other[2]) > Math.max(one[0], other[0]) && Math.min(one[3], other[3]) > Math.max(one[1], other[1]);
      const taken = plots.map(([width, height]) =>
        both.map((latent, at) => {
          const [middle, up, half] = [shares[0][at] * width, shares[1][at] * height, 0.4 * latent[3]];
          return [middle - half, up - half, middle + half, up + half];
        }),
      );
      const free = (at, place) =>
        plots.every((plot, number) => {
          const here = box(at, place, plot);
          const inside = here[0] >= 0 && here[1] >= 0 && here[2] <= plot[0] && here[3] <= plot[1];
          return inside && !taken[number].some((other) => meet(here, other));
        });
      const found = [];
      for (const at of told) {
        const place = places.find((one) => free(at, one));
        if (!place) continue;
        plots.forEach((plot, number) => taken[number].push(box(at, place, plot)));
        const [vertical, horizontal] = place.split(" ");
        const away = awayOf(at, [vertical, horizontal]);
        const point = (of) => axes[of].range[0] + shares[of][at] * (axes[of].range[1] - axes[of].range[0]);
        found.push({
          x: point(0),
          y: point(1),
          text: `<b>${plain(both[at][0])}</b>`,
          font: { size: 12 },
          showarrow: false,
          xanchor: { left: "right", center: "center", right: "left" }[horizontal],
          yanchor: { top: "bottom", middle: "middle", bottom: "top" }[vertical],
          xshift: { left: -away, center: 0, right: away }[horizontal],
          yshift: { top: away, middle: 0, bottom: -away }[vertical],
        });
      }
      return found;
    }
    const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

    function drawing(spec, before, both) {
      const data = [];
      for (const [family, [label, colour, symbol]] of Object.entries(spec.families)) {
        const part = both.filter((latent) => latent[1] === family);
        if (!part.length) continue;
        data.push({
          type: "scatter",
          x: part.map((latent) => latent[4][x.value][0]),
          y: part.map((latent) => latent[4][y.value][0]),
          mode: "markers",
          name: label,
          marker: {
            color: colour,
            symbol: part.map(([, , numbers]) => (numbers ? symbol : `${symbol}-open`)),
            size: part.map((latent) => latent[3]),
            opacity: 0.8,
          },
          text: part.map(([name, , , , values]) => {
            const [first, second] = [x, y].map((one) => `${spec.labels[one.value]} ${values[one.value][1]}`);
            return `${plain(name)}<br>${plain(first)}, ${plain(second)}<br>${plain(spec.texts[values[y.value][2]])}`;
          }),
          customdata: part.map(([name]) => name),
          hovertemplate: "%{text}<extra></extra>",
        });
      }
      const layout = structuredClone(before);
      const axes = [x, y].map((one) => axis(spec, both.map((latent) => latent[4][one.value][0])));
      for (const [at, one] of [x, y].entries()) {
        layout[["xaxis", "yaxis"][at]] = { title: { text: plain(titled(spec, one.value, axes[at])) }, ...axes[at] };
      }
      layout.annotations = both.length ? names(spec, both, axes) : [];
      return { data, layout };
    }

    function words(spec, about, both) {
      const best = (one) => {
        const values = both.map((latent) => latent[4][one.value][0]);
        const value = spec.better[one.value] === "lower" ? Math.min(...values) : Math.max(...values);
        const found = both.filter((latent) => latent[4][one.value][0] === value);
        const names = found.length < 3 ? found.map(([name]) => name).join(" and ") : `${found.length} latent spaces`;
        const have = found.length === 1 ? "has" : "have";
        return `${names} ${have} the best ${spec.labels[one.value]}: ${found[0][4][one.value][1]}.`;
      };
      const ends = (x.value === y.value ? [y] : [y, x]).filter((one) => spec.better[one.value]);
      const [across, up] = [x, y].map((one) => spec.labels[one.value]);
      const drawn = `${up[0].toUpperCase()}${up.slice(1)} against ${across}, ${both.length} latent spaces.`;
      const title = both.length ? ends.map(best).join(" ") || drawn : "No latent space of the group has both";
      figure.querySelector(".lrcore-title").textContent = title;
      figure.querySelector(".lrcore-subtitle").textContent = about;
      plot.setAttribute("aria-label", `${title} ${both.length} latent spaces; the table below has them all.`);
    }

    const profileOf = (spec, name) => `${spec.page}?autoencoder=${encodeURIComponent(name)}#sec-profile`;

    function table(spec, both) {
      const body = document.querySelector(`#${root.dataset.points} tbody`);
      const heads = document.querySelectorAll(`#${root.dataset.points} th`);
      heads[3].textContent = spec.labels[x.value];
      heads[4].textContent = spec.labels[y.value];
      const ordered = [...both].sort((a, b) => a[4][y.value][0] - b[4][y.value][0]);
      body.replaceChildren(
        ...ordered.map(([name, family, numbers, , values]) => {
          const row = make("tr");
          const ends = [x, y].map((one) => values[one.value]);
          for (const inside of [
            make("a", name, { href: profileOf(spec, name) }),
            spec.families[family]?.[0] ?? "",
            numbers ? numbers.toLocaleString("en") : "–",
            ...ends.map(([, text, , url]) => linked(text, spec.texts[url])),
            spec.texts[ends[1][2]],
          ]) {
            const cell = make("td");
            cell.append(inside);
            row.append(cell);
          }
          return row;
        }),
      );
    }

    // The download follows the choice. What a spreadsheet would take for a formula is marked as text.
    function download(spec, both) {
      const cell = (value) => {
        const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
        return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
      };
      const lines = [["canonical", "family", "numbers", x.value, y.value, "x_place", "x_url", "y_place", "y_url"]];
      for (const [name, family, numbers, , values] of both) {
        const ends = [values[x.value], values[y.value]];
        const told = ends.flatMap(([, , place, url]) => [spec.texts[place], spec.texts[url]]);
        lines.push([name, family, numbers, ends[0][0], ends[1][0], ...told]);
      }
      const text = lines.map((line) => line.map(cell).join(",")).join("\n");
      figure.querySelector(".lrcore-download").href = `data:text/csv;charset=utf-8,${encodeURIComponent(text)}`;
    }

    const layout = JSON.parse(figure.querySelector(":scope > .lrcore-spec").textContent).layout;
    async function draw() {
      try {
        const spec = await specOf(root);
        const { about, both } = chosen(spec);
        shown = new Map(both.map((latent) => [latent[0], latent]));
        words(spec, about, both);
        table(spec, both);
        download(spec, both);
        pick(spec, null);
        await window.lrcoreShow(figure, drawing(spec, layout, both));
      } catch (error) {
        report(root, error);
      }
    }

    // Where the figures of a point stand, as links.
    function pick(spec, name) {
      const line = document.getElementById("atlas-picked");
      const latent = shown?.get(name);
      if (!latent) return line.replaceChildren("\u00a0");
      const ends = [x, y].flatMap((one) => {
        const [, text, place, url] = latent[4][one.value];
        return [`; ${spec.labels[one.value]} `, linked(`${text} (${spec.texts[place]})`, spec.texts[url])];
      });
      line.replaceChildren(make("a", name, { href: profileOf(spec, name) }), ...ends);
    }

    async function picked({ points }) {
      const spec = await specOf(root);
      shown ??= new Map(chosen(spec).both.map((latent) => [latent[0], latent]));
      pick(spec, points[0].customdata);
    }

    new MutationObserver(() => {
      plot.removeAllListeners("plotly_click");
      plot.on("plotly_click", picked);
    }).observe(figure, { attributes: true, attributeFilter: ["data-drawn"] });

    group.addEventListener("change", async () => {
      offer(await specOf(root));
      note({ group: group.value, x: x.value, y: y.value });
      draw();
    });
    for (const [name, select] of [["x", x], ["y", y]]) {
      select.addEventListener("change", () => {
        wanted[name] = select.value;
        note({ group: group.value, x: x.value, y: y.value });
        draw();
      });
    }
    show(root.querySelector(".lrcore-atlas-controls"));
    if (asked.has("group") && has(group, asked.get("group"))) followLink();

    async function followLink() {
      group.value = asked.get("group");
      for (const name of ["x", "y"]) wanted[name] = asked.get(name) ?? wanted[name];
      offer(await specOf(root));
      draw();
    }
  }

  // ---- table ---------------------------------------------------------------------------------------------------

  function startTable(holder) {
    const controls = holder.querySelector(".lrcore-atlas-controls");
    const button = controls.querySelector("button");
    const filters = controls.querySelector("span");
    const [urls, source] = [Number(holder.dataset.urls), Number(holder.dataset.source)];

    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        const { texts, columns, ...options } = await specOf(holder);
        // by column, each cell a number of its text; rows again here
        options.data_json = JSON.stringify(columns[0].map((_, at) => columns.map((column) => texts[column[at]])));
        // cells hold text whose HTML is escaped
        const link = (text, kind, row) =>
          kind === "display" && /^https?:/.test(row[urls]) ? `<a href="${row[urls].replaceAll('"', "%22")}">${text}</a>` : text;
        options.columnDefs = [
          ...(options.columnDefs ?? []),
          { targets: source, render: link },
          { targets: urls, visible: false },
        ];
        holder.querySelector(".lrcore-table-scroll").hidden = false;
        holder.classList.add("lrcore-table");
        await window.lrcoreShow(holder, options);
        const { default: DataTable } = await import(new URL("dt_bundle.js", vendor));
        const table = new DataTable.Api(holder.querySelector("table[id], table"));
        for (const select of filters.querySelectorAll("select")) {
          select.addEventListener("change", () => {
            const exactly = select.options[select.selectedIndex].text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
            table.column(Number(select.dataset.column)).search(select.value ? `^${exactly}$` : "", true, false).draw();
          });
        }
        button.hidden = true;
        filters.hidden = false;
      } catch (error) {
        button.disabled = false;
        report(holder, error);
      }
    });
    show(controls);
  }

  // ---- profile -------------------------------------------------------------------------------------------------

  function startProfile(holder) {
    const select = holder.querySelector("select");
    const place = holder.querySelector("[data-shown]");
    async function choose() {
      try {
        const { texts, profiles } = await specOf(holder);
        const parts = profiles[select.value].map((number) => texts[number]);
        place.innerHTML = parts.join(""); // HTML that the page's own cells wrote
      } catch (error) {
        report(holder, error);
      }
    }
    select.addEventListener("change", () => {
      note({ autoencoder: select.value });
      choose();
    });
    show(holder.querySelector(".lrcore-atlas-controls"));
    if (!has(select, asked.get("autoencoder"))) return;
    select.value = asked.get("autoencoder");
    choose();
  }

  // ---- marks ---------------------------------------------------------------------------------------------------

  // Under a figure, where the figures of the mark that is chosen stand: its line of the table of sources.
  function startMarks(line) {
    const figure = document.getElementById(line.dataset.figure);
    const table = document.getElementById(line.dataset.table);
    const plot = figure.querySelector(".lrcore-plot");

    function picked({ points }) {
      const row = [...table.querySelectorAll("tr[data-mark]")].find((one) => one.dataset.mark === points[0].customdata);
      if (!row) return;
      const cells = [...row.cells].flatMap((cell, at) => [at ? ", " : "", ...cell.cloneNode(true).childNodes]);
      line.replaceChildren(...cells);
    }

    new MutationObserver(() => {
      plot.removeAllListeners("plotly_click");
      plot.on("plotly_click", picked);
    }).observe(figure, { attributes: true, attributeFilter: ["data-drawn"] });
  }

  function start() {
    document.querySelectorAll(".lrcore-marks").forEach(startMarks);
    const parts = { "atlas-scatter-choice": startScatter, "atlas-table": startTable, "atlas-profile": startProfile };
    for (const [name, begin] of Object.entries(parts)) {
      const holder = document.getElementById(name);
      if (holder) begin(holder);
    }
  }

  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
