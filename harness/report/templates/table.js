// The table of a section: sorting, filtering, pages. Its rows are the document's own, those beyond a page wait outside.
function makeTable(section, data, told) {
  const table = section.querySelector("table.rows");
  const body = table.tBodies[0];
  const form = section.querySelector("form.filter");
  const rest = section.querySelector("template.rest");
  const pages = section.querySelector(".pages");
  const rows = [...body.rows, ...(rest ? rest.content.querySelectorAll("tr") : [])];
  const numbers = new Map(rows.map((row, number) => [row, number]));
  const size = body.rows.length;
  const headings = [...table.tHead.rows[0].cells];
  let order = rows.map((_, number) => number);
  let found = order;
  let first = 0;
  let names;

  const name = (number) => {
    names ??= rows.map((row) => ({
      recipe: row.cells[0].querySelector("b").textContent,
      backend: row.cells[0].querySelector(".dot").textContent,
    }));
    return names[number];
  };
  const cell = (number, column) => rows[number].cells[column + 1].textContent.trim().replace(/\s+/g, " ");

  function show() {
    body.replaceChildren(...found.slice(first, first + size).map((number) => rows[number]));
    for (const row of body.rows) row.tabIndex = row === body.rows[0] ? 0 : -1;
    const count = (number) => number.toLocaleString("en");
    form.querySelector("output").value =
      found.length === rows.length ? `${count(rows.length)} rows` : `${count(found.length)} of ${count(rows.length)} rows`;
    if (!pages) return;
    const last = Math.min(first + size, found.length);
    pages.querySelector("span").textContent = found.length ? `rows ${count(first + 1)} to ${count(last)} of ${count(found.length)}` : "no rows";
    pages.querySelector(".previous").disabled = first === 0;
    pages.querySelector(".next").disabled = last === found.length;
  }

  function filter() {
    const words = form.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const keep = (number) => {
      const { recipe, backend } = name(number);
      const flags = data.rows[number][0];
      const text = `${recipe} ${backend}`.toLowerCase();
      return words.every((word) => text.includes(word))
        && (!form.backend.value || backend === form.backend.value)
        && (!form.kind.value || flags.includes(form.kind.value[0]))
        && (!form.pareto.checked || flags.includes("p"));
    };
    found = order.filter(keep);
    first = 0;
    show();
    told.filtered(found.length === rows.length ? null : new Set(found));
  }

  function sort(column, descending) {
    headings.forEach((heading, at) => {
      if (at === column + 1) heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    });
    form.sort.value = String(column);
    const collator = new Intl.Collator("en", { numeric: true });
    const key = column < 0
      ? (number) => `${name(number).recipe} ${name(number).backend}`
      : (number) => [data.rows[number][column + 2]].flat()[0];
    const keys = rows.map((_, number) => key(number));
    order = order.toSorted((one, other) => {
      const [a, b] = [keys[one], keys[other]];
      if (a === null || b === null) return (a === null) - (b === null);
      const apart = column < 0 ? collator.compare(a, b) : a - b;
      return descending ? -apart : apart;
    });
    filter();
  }

  function mark(number) {
    for (const row of rows) row.classList.remove("picked");
    if (number !== null) rows[number].classList.add("picked");
  }

  function reveal(number) {
    if (!found.includes(number)) {
      form.reset();
      filter();
    }
    first = Math.floor(found.indexOf(number) / size) * size;
    show();
    rows[number].focus({ preventScroll: true });
    rows[number].scrollIntoView({ block: "center", behavior: "auto" });
  }

  headings.forEach((heading, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sort(at - 1, heading.getAttribute("aria-sort") === "ascending"));
    form.sort.add(new Option(at ? data.columns[at - 1].title : "variant", String(at - 1)));
  });
  body.addEventListener("focusin", (event) => told.picked(numbers.get(event.target.closest("tr"))));
  body.addEventListener("click", (event) => {
    if (!event.target.closest("a")) event.target.closest("tr").focus({ preventScroll: true });
  });
  body.addEventListener("keydown", (event) => {
    const to = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    const next = to && event.target.closest("tr")[to];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.text.addEventListener("input", filter);
  form.addEventListener("change", (event) => {
    if (event.target === form.sort) sort(Number(form.sort.value || -1), false);
    else if (event.target !== form.text) filter();
  });
  for (const [button, by] of [[".previous", -1], [".next", 1]]) {
    pages?.querySelector(button).addEventListener("click", () => {
      first += by * size;
      show();
      section.querySelector(".filter").scrollIntoView();
    });
  }
  form.hidden = false;
  show();
  return { name, cell, mark, reveal };
}
