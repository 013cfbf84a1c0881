// What `lrcore.figures.atlas_scatter`, `atlas_table` and `atlas_findings` put on a page: the scatter of a chosen group, the
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

    function offer(spec) {
      const { quantities } = spec.groups.find((one) => one.group === group.value);
      for (const select of [x, y]) {
        const before = select.value;
        select.replaceChildren(...quantities.map((name) => make("option", spec.labels[name], { value: name })));
        if (quantities.includes(before)) select.value = before;
      }
      if (x.value === y.value) x.value = quantities.find((name) => name !== y.value);
    }

    const isWide = (spec, values) => Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) >= spec.log;
    const axis = (spec, values) =>
      values.length && isWide(spec, values) ? { type: "log", dtick: "D2", tickformat: "~g" } : { type: "linear" };
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
      for (const [name, one] of [["xaxis", x], ["yaxis", y]]) {
        const values = both.map((latent) => latent[4][one.value][0]);
        layout[name] = { title: { text: plain(spec.labels[one.value]) }, ...axis(spec, values) };
      }
      return { data, layout };
    }

    function words(spec, about, both) {
      const lowest = (one) => {
        const least = Math.min(...both.map((latent) => latent[4][one.value][0]));
        const found = both.filter((latent) => latent[4][one.value][0] === least);
        const names = found.length < 3 ? found.map(([name]) => name).join(" and ") : `${found.length} latents`;
        return `Lowest ${spec.labels[one.value]}: ${names}, ${found[0][4][one.value][1]}.`;
      };
      const ends = x.value === y.value ? [y] : [y, x];
      const title = both.length ? ends.map(lowest).join(" ") : "No latent of the group has both";
      figure.querySelector(".lrcore-title").textContent = title;
      figure.querySelector(".lrcore-subtitle").textContent = about;
      plot.setAttribute("aria-label", `${title} ${both.length} latents; the table below has them all.`);
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
    for (const select of [x, y]) {
      select.addEventListener("change", () => {
        note({ group: group.value, x: x.value, y: y.value });
        draw();
      });
    }
    show(root.querySelector(".lrcore-atlas-controls"));
    if (asked.has("group") && has(group, asked.get("group"))) followLink();

    async function followLink() {
      group.value = asked.get("group");
      offer(await specOf(root));
      for (const [name, select] of [["x", x], ["y", y]]) if (has(select, asked.get(name))) select.value = asked.get(name);
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
