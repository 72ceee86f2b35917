// The chart of a section: its own specification, drawn again whenever other axes are chosen.
const DRAWN_AT_MOST = 3000;
const WITH_INTERVALS = 30;

function makeChart(section, data, table, told) {
  const place = section.querySelector(".drawing");
  const form = section.querySelector("form.axes");
  const hint = section.querySelector(".hint");
  const tip = document.querySelector(".tip");
  let view = null;
  let hidden = {};
  let picked = null;

  const column = (axis) => data.columns.findIndex((found) => found.key === form[axis].value);
  for (const axis of ["x", "y"]) {
    for (const found of data.columns.filter((each) => each.axis === axis)) {
      const option = new Option(found.kind ? `${found.title}, ${found.kind}` : found.title, found.key);
      form[axis].add(option);
      option.defaultSelected = option.selected = found.key === data[axis];
    }
  }

  function points() {
    const [x, y] = [column("x"), column("y")];
    const kind = (flags) => {
      const own = data.columns[x].kind || (flags.includes("m") ? "measured" : "");
      return flags.includes("s") && own !== "measured" ? "simulated" : own || "estimated";
    };
    return data.rows.flatMap(([flags, memory, ...cells], number) => {
      const [at, left, right] = [cells[x]].flat();
      const [up, low, high] = [cells[y]].flat();
      if (at === null || up === null || (form.log.checked && at <= 0)) return [];
      const ends = { x_lo: form.log.checked && left <= 0 ? at : left, x_hi: right, y_lo: low, y_hi: high };
      const { recipe, backend } = table.name(number);
      return [{ id: number, x: at, y: up, ends, memory, kind: kind(flags), backend, flags, recipe, front: null, nth: 0, label: "" }];
    });
  }

  // Like harness.report.choice.mark_front: what fits, and what needs an option among its like.
  function markFront(values) {
    const better = data.columns[column("y")].fewer ? -1 : 1;
    for (const option of [false, true]) {
      const rivals = values.filter(({ flags }) => !flags.includes("x") && flags.includes("o") === option);
      rivals.sort((a, b) => a.x - b.x || better * (b.y - a.y));
      let last = null;
      for (const value of rivals) {
        if (last && better * (value.y - last.y) <= 0 && (value.x !== last.x || value.y !== last.y)) continue;
        value.front = Number(option);
        last = value;
      }
    }
  }

  // Like harness.report.chart: no rows so far off that they would squeeze the rest, and not more than can be drawn.
  function choose(values) {
    const better = data.columns[column("y")].fewer ? -1 : 1;
    const up = values.map(({ y }) => better * y).sort((a, b) => a - b);
    const [best, middle] = [up.at(-1), up[up.length >> 1]];
    const matters = (value) => value.front !== null || value.flags.includes("b");
    const lowest = values.filter(matters).reduce((low, value) => Math.min(low, better * value.y), middle - 3 * (best - middle));
    const squeezed = !form.all.checked && best - up[0] > 2 * (best - lowest);
    const near = squeezed ? values.filter(({ y }) => better * y >= lowest) : values;
    if (near.length <= DRAWN_AT_MOST) return near;
    return [...near.filter((value) => !matters(value)).slice(0, DRAWN_AT_MOST), ...near.filter(matters)];
  }

  function dress(values) {
    const many = values.length > WITH_INTERVALS;
    const seen = new Map();
    for (const value of values) {
      const where = `${value.x} ${value.y}`;
      const nth = seen.get(where) ?? 0;
      seen.set(where, nth + 1);
      value.nth = many ? 0 : nth;
      if (value.front !== null || (!many && !nth)) Object.assign(value, value.ends);
      if ((value.front !== null || value.flags.includes("b")) && !nth) value.label = value.recipe.length > 34 ? `${value.recipe.slice(0, 33)}…` : value.recipe;
    }
    return values;
  }

  // Names find their place in the browser, which knows how wide they are.
  function placeNames(spec) {
    const names = spec.marks.find((mark) => mark.name === "names_marks");
    names.from = { data: "points_marks" };
    names.interactive = false;
    names.encode = {
      enter: { fill: { value: "var(--ink)" }, fontSize: { value: 12 } },
      update: { text: { signal: "hidden[datum.datum.id] ? '' : datum.datum.label" } },
    };
    names.transform = [{
      type: "label", size: { signal: "[width, height]" }, avoidMarks: ["points_marks"], offset: [4],
      anchor: ["top-right", "top-left", "bottom-right", "bottom-left", "top", "bottom"],
    }];
    return spec;
  }

  async function draw() {
    const spec = JSON.parse(document.querySelector("#chart").textContent);
    const all = points();
    markFront(all);
    const values = all.length ? dress(choose(all)) : [];
    spec.data = { name: "rows", values };
    spec.width = place.clientWidth;
    spec.height = place.clientWidth < 600 ? 320 : 380;
    spec.autosize = { type: "fit-x", contains: "padding" };
    for (const param of spec.params) if (param.name === "hidden") param.value = hidden; else param.value = picked;
    const { encoding } = spec.layer.find((layer) => layer.name === "points");
    for (const axis of ["x", "y"]) {
      const { label, ticks } = data.columns[column(axis)];
      encoding[axis].title = label;
      encoding[axis].axis.format = ticks;
    }
    const colours = { domain: Object.keys(data.colours), range: Object.values(data.colours).map((number) => `var(--s${number})`) };
    encoding.stroke.scale = encoding.fill.scale = colours;
    Object.assign(encoding.x.scale, form.log.checked ? { type: "log" } : { type: "linear", zero: false });
    const kinds = [...new Set(values.map(({ kind }) => kind))];
    const shapes = { measured: "square", estimated: "circle", simulated: "diamond" };
    encoding.shape.scale = { domain: kinds, range: kinds.map((kind) => shapes[kind]) };
    const target = document.createElement("div");
    place.classList.add("live");
    place.append(target);
    const drawn = await vegaEmbed(target, spec, {
      mode: "vega-lite", renderer: "svg", actions: false, defaultStyle: false, tooltip: false, patch: placeNames,
      logLevel: 1, ast: true, // expressions are interpreted: the page allows no eval
    });
    view?.finalize();
    place.replaceChildren(target);
    view = drawn.view;
    view.addEventListener("pointermove", (event, item) => describe(event, item?.datum?.id));
    view.addEventListener("pointerout", () => describe(null));
    view.addEventListener("click", (event, item) => { if (item?.datum?.id !== undefined) told.clicked(item.datum.id); });
    hint.textContent = [
      values.length < data.rows.length ? `${values.length.toLocaleString("en")} of ${data.rows.length.toLocaleString("en")} rows are drawn.` : "",
      form.x.value === data.x && form.y.value === data.y ? "" : "The front is that of these axes; the marks in the table are those of the first.",
      "Point at a mark for its numbers; click it for its row.",
    ].filter(Boolean).join(" ");
  }

  function describe(event, number) {
    tip.hidden = number === undefined || number === null;
    if (tip.hidden) return;
    const { recipe, backend } = table.name(number);
    const title = document.createElement("strong");
    title.textContent = `${recipe} in ${backend}`;
    const list = document.createElement("dl");
    data.columns.forEach(({ title: what, kind }, at) => {
      const text = table.cell(number, at);
      if (text === "–") return;
      const [term, value] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = kind ? `${what}, ${kind}` : what;
      value.textContent = text;
      list.append(term, value);
    });
    tip.replaceChildren(title, list);
    const { width, height } = tip.getBoundingClientRect();
    const left = event.clientX + 14 + width > innerWidth ? event.clientX - 14 - width : event.clientX + 14;
    tip.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
    tip.style.top = `${Math.max(8, Math.min(event.clientY + 14, innerHeight - height - 8))}px`;
  }

  let width = place.clientWidth;
  let resized;
  new ResizeObserver(() => {
    if (!view || place.clientWidth === width) return;
    width = place.clientWidth;
    clearTimeout(resized);
    resized = setTimeout(draw, 100);
  }).observe(place);
  const signal = (name, value) => view?.signal(name, value).runAsync();
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", draw);
  form.hidden = false;
  return {
    draw,
    pick(number) { picked = number; signal("picked", number); },
    filter(found) {
      hidden = {};
      if (found) data.rows.forEach((_, number) => { if (!found.has(number)) hidden[number] = true; });
      signal("hidden", hidden);
    },
  };
}
