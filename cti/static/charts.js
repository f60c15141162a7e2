// The last hours of a campaign as three small charts: abandoned against its target, who is busy, how long seats wait.

import { decimal, percent, t, time } from "./text.js";

const KEPT = 480; // as the server keeps
const HEIGHT = 150;
const SPAN = 10; // samples over which a pace is taken: five minutes

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const share = (part, whole) => (whole > 0 ? part / whole : null);

// Each chart: what stands above it, and its lines, each with its colour and its value out of a sample and an earlier one.
const CHARTS = [
  {
    title: "chart.abandon",
    format: (v) => percent(v, 1),
    lines: [
      { label: "chart.abandon_rate", color: "--accent", value: (s) => s.abandon_rate, fill: true },
      { label: "chart.target", color: "--danger", value: (s) => s.target, dash: [5, 4] },
    ],
  },
  {
    title: "chart.seats",
    format: (v) => decimal(v, 0),
    lines: [
      { label: "chart.at_work", color: "--muted", value: (s) => s.seats },
      { label: "chart.talking", color: "--accent", value: (s) => s.talking, fill: true },
      { label: "chart.lines", color: "--warn", value: (s) => s.lines },
    ],
  },
  {
    title: "chart.waiting",
    format: (v) => t("status.seconds", { n: decimal(v, 0) }),
    lines: [{ label: "chart.idle", color: "--good", value: (s, b) => share(s.idle_s - b.idle_s, s.connected - b.connected), fill: true }],
  },
  {
    title: "chart.shares",
    format: (v) => percent(v, 0),
    lines: [
      { label: "chart.answered", color: "--accent", value: (s, b) => share(s.answered - b.answered, s.dials - b.dials) },
      { label: "chart.occupancy", color: "--good", value: (s, b) => share(s.busy_s - b.busy_s, s.busy_s - b.busy_s + s.idle_s - b.idle_s) },
    ],
  },
];

const newest = (plot) => plot.setLegend({ idx: plot.data[0].length - 1 }, false); // what the legend tells unless asked

// `place` is where the charts go; they are drawn once somebody looks.
export function charts(place) {
  const samples = [];
  let drawn = null;
  let UPlot = null;

  const columns = (chart) => {
    const rows = samples.map((sample, n) => [sample, samples[Math.max(0, n - SPAN)]]);
    return [rows.map(([s]) => s.at), ...chart.lines.map((line) => rows.map(([s, before]) => line.value(s, before) ?? null))];
  };

  function options(chart, width) {
    const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    return {
      width,
      height: HEIGHT,
      cursor: { drag: { x: false, y: false } },
      hooks: { setCursor: [(plot) => plot.cursor.idx ?? newest(plot)] },
      scales: { y: { range: (_, low, high) => [0, Math.max(high ?? 0, 1e-3) * 1.15] } },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((at) => time(at)), space: 60, size: 28 },
        { ...axis, values: (_, ticks) => ticks.map(chart.format), size: 56 },
      ],
      series: [
        { label: t("chart.time"), value: (_, at) => (at ? time(at) : "–") },
        ...chart.lines.map((line) => ({
          label: t(line.label),
          stroke: color(line.color),
          width: 2,
          dash: line.dash,
          fill: line.fill ? `color-mix(in srgb, ${color(line.color)} 14%, transparent)` : undefined,
          points: { show: false },
          value: (_, value) => (value === null || value === undefined ? "–" : chart.format(value)),
        })),
      ],
    };
  }

  function build() {
    drawn = CHARTS.map((chart) => {
      const figure = document.createElement("figure");
      const title = document.createElement("figcaption");
      title.textContent = t(chart.title);
      const canvas = document.createElement("div");
      canvas.setAttribute("role", "img");
      figure.append(title, canvas);
      place.append(figure);
      const plot = new UPlot(options(chart, Math.max(200, figure.clientWidth)), columns(chart), canvas);
      return { chart, figure, canvas, plot };
    });
    new ResizeObserver(() => {
      for (const { figure, plot } of drawn) if (figure.clientWidth > 0) plot.setSize({ width: figure.clientWidth, height: HEIGHT });
    }).observe(place);
  }

  function draw() {
    if (!drawn) return;
    for (const { chart, canvas, plot } of drawn) {
      const data = columns(chart);
      plot.setData(data);
      newest(plot);
      const last = (line) => data[line + 1].at(-1);
      const words = chart.lines.map((line, n) => `${t(line.label)} ${last(n) === null || last(n) === undefined ? "–" : chart.format(last(n))}`);
      canvas.setAttribute("aria-label", `${t(chart.title)}: ${words.join(", ")}`);
    }
  }

  return {
    take(frame) {
      const rows = frame.samples.map((sample) => Object.fromEntries(frame.columns.map((name, n) => [name, sample[n]])));
      if (frame.whole) samples.length = 0;
      const newest = samples.at(-1)?.at ?? 0;
      samples.push(...rows.filter((row) => row.at > newest));
      samples.splice(0, samples.length - KEPT);
      draw();
    },
    async look() {
      if (UPlot) return;
      UPlot = (await import("./vendor/uplot.js")).default;
      build();
      draw();
    },
  };
}
