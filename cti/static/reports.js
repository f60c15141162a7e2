// The reports page: the table sorts by a click on its head, and its first column is drawn as bars.

const MOST = 60; // bars that can be told apart
const HEIGHT = 220;

const which = document.getElementById("which");
// Another report is split by other things: what was chosen for the last one says nothing of it.
which?.addEventListener("change", () => {
  for (const select of which.form.querySelectorAll("[name=by]")) select.value = "";
  which.form.requestSubmit();
});

const figures = document.getElementById("figures");
const chart = document.getElementById("chart");
if (figures) {
  const heads = [...figures.tHead.rows[0].cells];
  heads.forEach((head, place) => head.firstElementChild.addEventListener("click", () => sort(head, place)));
  draw(heads);
}

function sort(head, place) {
  const down = head.getAttribute("aria-sort") !== "descending" && head.dataset.unit !== "" || head.getAttribute("aria-sort") === "ascending";
  for (const each of figures.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = (row) => (head.dataset.unit ? Number(row.cells[place].dataset.v || -1) : row.cells[place].textContent);
  const order = (a, b) => (head.dataset.unit ? value(a) - value(b) : value(a).localeCompare(value(b), undefined, { numeric: true }));
  const body = figures.tBodies[0];
  body.append(...[...body.rows].sort((a, b) => (down ? order(b, a) : order(a, b))));
}

async function draw(heads) {
  const place = heads.findIndex((head) => head.dataset.key === chart.dataset.measure);
  const rows = [...figures.tBodies[0].rows].slice(0, MOST);
  if (place < 0 || rows.length < 2) {
    chart.hidden = true;
    return;
  }
  const uPlot = (await import("./vendor/uplot.js")).default;
  const dimensions = heads.filter((head) => !head.dataset.unit).length;
  const names = rows.map((row) => [...row.cells].slice(0, dimensions).map((cell) => cell.textContent).join(" · "));
  const values = rows.map((row) => Number(row.cells[place].dataset.v || 0));
  const shown = rows.map((row) => row.cells[place].textContent);
  const unit = heads[place].dataset.unit;
  const scale = unit === "share" ? (v) => `${Math.round(100 * v)}%` : unit.endsWith("seconds") ? (v) => `${Math.round(v / 360) / 10} h` : (v) => v.toLocaleString();
  const style = getComputedStyle(document.body);
  const colour = (name) => style.getPropertyValue(name).trim();
  const font = `13px ${style.fontFamily}`;
  const axis = { stroke: colour("--muted"), font, grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  const fits = (width) => Math.max(1, Math.ceil((names.length * 90) / width));
  const short = (name) => (name.length > 14 ? `${name.slice(0, 13)}…` : name);
  let plot;
  const make = () => {
    plot?.destroy();
    const width = chart.clientWidth;
    const every = fits(width);
    plot = new uPlot(
      {
        width,
        height: HEIGHT,
        cursor: { y: false, drag: { x: false } },
        legend: { show: true, live: true },
        scales: { x: { time: false, range: [-0.6, names.length - 0.4] }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] } },
        axes: [
          { ...axis, grid: { show: false }, splits: () => names.map((_, n) => n).filter((n) => n % every === 0), values: (_, at) => at.map((n) => short(names[n] ?? "")) },
          { ...axis, size: 64, values: (_, at) => at.map(scale) },
        ],
        series: [
          { label: heads[0].textContent, value: (_, n, __, at) => (at === null ? "" : names[at]) },
          { label: heads[place].textContent, fill: colour("--accent"), stroke: colour("--accent"), width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.7, 64] }), value: (_, v, __, at) => (at === null ? "" : shown[at]) },
        ],
      },
      [names.map((_, n) => n), values],
      chart,
    );
  };
  make();
  let last = chart.clientWidth;
  new ResizeObserver(() => {
    if (chart.clientWidth !== last) {
      last = chart.clientWidth;
      make();
    }
  }).observe(chart);
}
