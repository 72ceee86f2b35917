// What holds a page together: charts and tables of its sections, day and night, paper. It is complete without scripts.
function makeSection(section) {
  const source = section.querySelector("script.data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  let chart = null;
  const pick = (number) => {
    table.mark(number);
    chart?.pick(number);
  };
  const table = makeTable(section, data, { picked: pick, filtered: (found) => chart?.filter(found) });
  if (!section.querySelector(".drawing")) return;
  chart = makeChart(section, data, table, { clicked: table.reveal });
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    chart.draw();
  }, { rootMargin: "300px" });
  seen.observe(section.querySelector(".drawing"));
}

function makeMode(button) {
  const night = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const dark = () => root.classList.contains("night") || (night.matches && !root.classList.contains("day"));
  const name = () => { button.textContent = dark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => {
    root.className = dark() ? "day" : "night";
    name();
  });
  night.addEventListener("change", name);
  name();
  button.hidden = false;
}

addEventListener("DOMContentLoaded", () => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  makeMode(document.querySelector(".mode"));
  // Of fifty sections only those that are read cost anything.
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      makeSection(target);
    }
  }, { rootMargin: "100%" });
  document.querySelectorAll("section.comparison").forEach((section) => near.observe(section));
});
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
