// Charts: mood over time (uPlot) and sparklines (SVG).

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { el, svg } from "./dom.js";
import { CLOCK, DAY, formatDate, leaning, number, score, span, time, timeZone } from "./format.js";

export const RANGES = [
  [21600, "6 h", "Last 6 hours"],
  [86400, "24 h", "Last 24 hours"],
  [604800, "7 d", "Last 7 days"],
  [2592000, "30 d", "Last 30 days"],
  [null, "All", "All news in the store"],
];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const TRAILING = 4; // steps of the trailing mean

/**
 * Returns columns for uPlot, with a row for every step of the range: weights stacked from the bottom as negative,
 * neutral, positive; and the mean score over the stories of the last TRAILING steps. A mean over one step would jump
 * with a single story.
 */
function columns(trend) {
  const step = trend.step_s;
  const points = new Map(trend.points.map((point) => [Date.parse(point.start) / 1000, point]));
  const first = Math.floor(Date.parse(trend.since) / 1000 / step) * step;
  const last = Math.floor((Date.parse(trend.until) - 1) / 1000 / step) * step;
  const at = [], all = [], calm = [], bad = [], lean = [], mean = [];
  for (let start = first; start <= last; start += step) {
    const point = points.get(start);
    at.push(start + step / 2);
    all.push(point ? point.negative + point.neutral + point.positive : 0);
    calm.push(point ? point.negative + point.neutral : 0);
    bad.push(point ? point.negative : 0);
    lean.push(point ? point.positive - point.negative : 0);
    const weight = all.slice(-TRAILING).reduce((sum, value) => sum + value, 0);
    const leaned = lean.slice(-TRAILING).reduce((sum, value) => sum + value, 0);
    mean.push(all.at(-1) > 0 ? leaned / weight : null);
  }
  return [at, all, calm, bad, mean];
}

export class MoodChart {
  constructor(holder, height) {
    this.height = height;
    this.plotArea = el("div", { class: "plot" });
    this.readout = el("p", { class: "readout" });
    this.legend = el(
      "p",
      { class: "legend" },
      ...["negative", "neutral", "positive"].map((name) => el("span", { class: `key ${name}` }, name)),
      (this.meanKey = el("span", { class: "key score" }, "mean score")),
    );
    holder.replaceChildren(el("div", { class: "chart-notes" }, this.legend, this.readout), this.plotArea);
    this.plot = null;
    this.trend = null;
    this.width = 0;
    new ResizeObserver(() => this.resize()).observe(this.plotArea);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.trend && this.draw(this.trend, true));
  }

  resize() {
    const width = this.plotArea.clientWidth;
    if (this.plot && width > 0 && width !== this.width) {
      this.width = width;
      this.plot.setSize({ width, height: this.height });
    } else if (!this.plot && this.trend && width > 0) {
      this.draw(this.trend);
    }
  }

  empty(text) {
    this.plot?.destroy();
    this.plot = null;
    this.trend = null;
    this.plotArea.replaceChildren(el("p", { class: "empty" }, text));
    this.readout.textContent = "";
  }

  draw(trend, rebuild = false) {
    const data = columns(trend);
    const canUpdate = this.plot && !rebuild && this.trend?.step_s === trend.step_s;
    this.trend = trend;
    this.meanKey.textContent = `mean score, trailing ${span(TRAILING * trend.step_s)}`;
    this.showTotals();
    if (canUpdate) {
      this.plot.setData(data);
      return;
    }
    this.plot?.destroy();
    this.width = this.plotArea.clientWidth;
    this.plotArea.replaceChildren();
    this.plot = null;
    if (this.width === 0) return;
    this.plot = new uPlot(this.options(), data, this.plotArea);
  }

  options() {
    const bars = uPlot.paths.bars({ size: [0.86, 28], align: 0 });
    const bar = (name) => ({
      scale: "stories",
      paths: bars,
      fill: colour(name),
      stroke: colour(name),
      width: 0,
      points: { show: false },
    });
    const axis = { stroke: colour("muted"), font: "11px system-ui", ticks: { show: false } };
    const grid = { stroke: colour("line"), width: 1 };
    return {
      width: this.width,
      height: this.height,
      padding: [8, 4, 0, 4],
      legend: { show: false },
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), timeZone),
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: {
        x: { time: true, range: (_, first, last) => [first - this.trend.step_s / 2, last + this.trend.step_s / 2] },
        stories: { range: (_, __, most) => [0, Math.max(most || 0, 1) * 1.08] },
        score: { range: [-1, 1] },
      },
      axes: [
        { ...axis, size: 28, grid: { show: false }, values: (_, splits, __, ___, gap) => splits.map((at) => tick(at, gap)), space: 70 },
        { ...axis, scale: "stories", grid, size: 40 },
        {
          ...axis,
          scale: "score",
          side: 1,
          grid: { show: false },
          size: 38,
          splits: () => [-1, -0.5, 0, 0.5, 1],
          values: (_, splits) => splits.map((value) => (value === 0 ? "0" : score(value).replace(/0$/, ""))),
        },
      ],
      series: [
        {},
        bar("bar-positive"),
        bar("bar-neutral"),
        bar("bar-negative"),
        { scale: "score", stroke: colour("score-line"), width: 2, spanGaps: true, points: { show: false } },
      ],
      hooks: { setCursor: [(plot) => this.showStep(plot)], drawClear: [zeroLine] },
    };
  }

  /** Shows the totals of the range. */
  showTotals() {
    const points = this.trend.points;
    const total = (key) => points.reduce((sum, point) => sum + point[key], 0);
    const weight = total("negative") + total("neutral") + total("positive");
    if (weight === 0) {
      this.readout.textContent = "No news in this range";
      return;
    }
    const mean = (total("positive") - total("negative")) / weight;
    const share = Math.round((100 * total("negative")) / weight);
    this.showReadout(null, total("stories"), total("articles"), mean, `${share}% negative`);
  }

  /** Shows the values of the step under the cursor. */
  showStep(plot) {
    const index = plot.cursor.idx;
    if (index === null || index === undefined || plot.cursor.left < 0) {
      if (this.trend) this.showTotals();
      return;
    }
    const start = plot.data[0][index] - this.trend.step_s / 2;
    const point = this.trend.points.find((candidate) => Date.parse(candidate.start) / 1000 === start);
    const iso = new Date(start * 1000).toISOString();
    if (point) this.showReadout(iso, point.stories, point.articles, point.score, null);
    else this.readout.replaceChildren(el("span", {}, time(iso)), el("span", {}, "no news"));
  }

  showReadout(at, stories, articles, mean, note) {
    this.readout.replaceChildren(
      at ? el("span", {}, time(at)) : "",
      el("strong", { class: leaning(mean) }, score(mean)),
      el("span", {}, `${number(stories)} stories`),
      el("span", { class: "wide-only" }, `${number(articles)} articles`),
      note ? el("span", {}, note) : "",
    );
  }
}

function tick(at, gap) {
  const date = new Date(at * 1000);
  const clock = formatDate(date, CLOCK);
  if (gap >= 86400 * 27) return formatDate(date, { month: "short", year: "2-digit" });
  return gap >= 86400 || clock === "00:00" ? formatDate(date, DAY) : clock;
}

function zeroLine(plot) {
  const y = Math.round(plot.valToPos(0, "score", true)) + 0.5;
  const { left, width } = plot.bbox;
  plot.ctx.save();
  plot.ctx.strokeStyle = colour("zero");
  plot.ctx.setLineDash([2, 4]);
  plot.ctx.beginPath();
  plot.ctx.moveTo(left, y);
  plot.ctx.lineTo(left + width, y);
  plot.ctx.stroke();
  plot.ctx.restore();
}

/** Returns a small line chart of scores around zero. */
export function sparkline(values) {
  const width = 112, height = 26, middle = height / 2;
  const reach = middle - 3;
  const dots = values
    .map((value, index) => (value === null ? null : [2 + (index / (values.length - 1)) * (width - 4), middle - value * reach]))
    .filter((dot) => dot !== null);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, class: "spark", "aria-hidden": "true" });
  drawing.append(svg("line", { x1: 0, x2: width, y1: middle, y2: middle, class: "spark-zero" }));
  if (dots.length > 1) {
    drawing.append(svg("polyline", { points: dots.map((dot) => dot.map((n) => n.toFixed(1)).join(",")).join(" ") }));
  }
  if (dots.length > 0) {
    const last = values.findLast((value) => value !== null);
    const [x, y] = dots.at(-1);
    drawing.append(svg("circle", { cx: x, cy: y, r: 2.4, class: leaning(last) }));
  }
  return drawing;
}

/** Returns a bar for a score, which extends left or right from the middle. */
export function scoreBar(value) {
  const width = value === null ? 0 : Math.min(1, Math.abs(value)) * 50;
  const left = value !== null && value < 0 ? 50 - width : 50;
  return el(
    "span",
    { class: "score-cell" },
    el("span", { class: "score-number" }, score(value)),
    el(
      "span",
      { class: "score-bar", "aria-hidden": "true" },
      el("span", { class: leaning(value), style: { left: `${left}%`, width: `${width}%` } }),
    ),
  );
}
