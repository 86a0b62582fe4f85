// Targets: the table, and the details of one target with its trend and stories.

import { reasonOf } from "./alerts.js";
import * as api from "./api.js";
import { MoodChart, RANGES, scoreBar, sparkline } from "./charts.js";
import { buttonGroup, el } from "./dom.js";
import { present, show } from "./drawer.js";
import { nearMissRow } from "./near_misses.js";
import { number, plural, score, span, when } from "./format.js";
import { storyRow } from "./stories.js";

const PAGE = 25;
const HEADS = [
  ["name", "Name", "By name"],
  ["score", "Score, 7 d", "Worst first"],
  ["surprise", "Surprise", "Most surprising first"],
  ["stories", "Stories", "Most stories first"],
  [null, "Trend, 7 d", ""],
  ["last_seen", "Last news", "Newest first"],
  ["alerts", "Alerts", "With open alerts first"],
];
const body = document.getElementById("target-rows");
const heads = document.getElementById("target-heads");
const position = document.getElementById("target-place");
const back = document.getElementById("target-back");
const forward = document.getElementById("target-next");
const query = document.getElementById("target-query");
const kind = document.getElementById("target-kind");

const FILTER_KEY = "riskwire-target-filter";
const kept = JSON.parse(sessionStorage.getItem(FILTER_KEY) ?? "{}");
let order = kept.order ?? "alerts";
let offset = 0;
let requests = 0;

function drawHeads() {
  heads.replaceChildren(
    ...HEADS.map(([key, label, title]) => {
      const sorted = key === order ? (key === "name" || key === "score" ? "ascending" : "descending") : null;
      const content = key
        ? el("button", { title, onclick: () => { order = key; offset = 0; drawHeads(); load(); } }, label, key === order ? el("span", { "aria-hidden": "true" }, sorted === "ascending" ? " ↑" : " ↓") : "")
        : label;
      return el("th", { scope: "col", class: `col-${key ?? "trend"}`, "aria-sort": sorted }, content);
    }),
  );
}

/** Returns the window nearest to firing, such as "2 of 3 stories in 6 h"; null if it is unknown. */
function nearest({ nearest: window }) {
  return window && `${window.stories} of ${window.min_stories} stories in ${span(window.window_s)}`;
}

/** Returns the surprise with the threshold from which an alert fires, such as "1.2 of 3.8". */
function surpriseOf({ surprise, nearest: window }) {
  return window ? `${number(surprise)} of ${number(window.threshold)}` : number(surprise);
}

/** Returns the cell of the surprise: with its threshold, as a bar that is full at the threshold, and the nearest window. */
function surpriseCell(target) {
  const threshold = target.nearest?.threshold ?? 10;
  const width = Math.min(100, (target.surprise / threshold) * 100);
  const bar = el("span", { class: target.surprise >= threshold ? "negative" : "plain", style: { width: `${width}%` } });
  return el(
    "td",
    { class: "col-surprise", title: "Surprise, of the threshold from which an alert fires; negative stories in the window nearest to firing" },
    el("span", { class: "surprise" }, el("span", {}, surpriseOf(target)), el("span", { class: "track", "aria-hidden": "true" }, bar)),
    el("span", { class: "nearest", testid: "nearest" }, nearest(target)),
  );
}

function row(target) {
  const groups = target.groups.length ? target.groups.join(", ") : target.kind === "entity" ? "" : target.kind;
  return el(
    "tr",
    { testid: "target-row", onclick: (event) => event.target.closest("button") || show("target", target.target) },
    el(
      "td",
      { class: "col-name" },
      el("button", { id: `target-${target.target}`, class: "name", dir: "auto", onclick: () => show("target", target.target) }, target.name),
      target.blind_since
        ? el("span", { class: "tag blind" }, "blind since ", when(target.blind_since))
        : el("span", { class: "groups" }, groups),
    ),
    el("td", { class: "col-score" }, scoreBar(target.score)),
    surpriseCell(target),
    el("td", { class: "col-stories", title: `${target.articles} articles` }, number(target.stories)),
    el("td", { class: "col-trend" }, sparkline(target.spark)),
    el("td", { class: "col-last_seen" }, target.last_seen ? when(target.last_seen) : "no news yet"),
    el("td", { class: "col-alerts" }, target.alerts ? el("span", { class: "count" }, number(target.alerts)) : el("span", { class: "empty-cell" }, "–")),
  );
}

function keepFilter() {
  sessionStorage.setItem(FILTER_KEY, JSON.stringify({ order, kind: kind.value, query: query.value }));
}

export async function load() {
  keepFilter();
  const request = ++requests;
  const rows = await api.targets({ limit: PAGE + 1, offset, kind: kind.value, query: query.value.trim(), order, spark: true });
  if (request !== requests) return; // a later request replaces this one
  const shown = rows.slice(0, PAGE);
  const focused = document.activeElement?.id;
  body.replaceChildren(
    ...(shown.length ? shown.map(row) : [el("tr", {}, el("td", { class: "empty", colspan: HEADS.length }, query.value ? "No target of that name." : "No targets yet: they appear as news comes in."))]),
  );
  if (focused?.startsWith("target-") && !["target-query", "target-kind"].includes(focused)) document.getElementById(focused)?.focus();
  position.textContent = shown.length ? `${offset + 1}–${offset + shown.length}` : "none";
  back.disabled = offset === 0;
  forward.disabled = rows.length <= PAGE;
}

export function start() {
  kind.value = kept.kind ?? kind.value;
  query.value = kept.query ?? "";
  drawHeads();
  let typing;
  const restart = () => { offset = 0; load(); };
  query.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(restart, 200); });
  kind.addEventListener("change", restart);
  document.getElementById("target-filter").addEventListener("submit", (event) => { event.preventDefault(); restart(); });
  back.addEventListener("click", () => { offset = Math.max(0, offset - PAGE); load(); });
  forward.addEventListener("click", () => { offset += PAGE; load(); });
}

let open = null;

async function fillOpen(isCurrent) {
  const { id, chart, range, list, more, alerts, near } = open;
  const [trend, stories, episodes, nearMisses] = await Promise.all([
    api.trend(id, { last_s: range }),
    api.page(api.storiesPath({ target: id, limit: 20 })),
    api.page(api.alertsPath({ target: id, limit: 5 })),
    api.nearMisses(id, { limit: 20 }),
  ]);
  if (!isCurrent() || open?.id !== id || open.range !== range) return;
  if (trend.points.length) chart.draw(trend);
  else chart.empty("No news in this range.");
  if (open.pages === 1) {
    list.replaceChildren(...(stories.rows.length ? stories.rows.map(storyRow) : [el("li", { class: "empty" }, "No stories yet.")]));
    more.hidden = stories.next === null;
    open.next = stories.next;
  }
  near.hidden = nearMisses.length === 0;
  near.querySelector("ul").replaceChildren(...nearMisses.map(nearMissRow));
  alerts.replaceChildren(
    ...episodes.rows.map((alert) =>
      el("button", { class: "episode", onclick: () => show("alert", alert.id) },
        el("span", { class: `severity ${alert.status === "resolved" ? "resolved" : alert.severity}` }, alert.status === "resolved" ? "resolved" : alert.severity),
        el("span", { dir: "auto" }, alert.summary, reasonOf(alert)), when(alert.at)),
    ),
  );
}

/** Shows a target in the drawer, or updates the one shown. `isCurrent` returns whether the drawer should show it. */
export async function openTarget(id, isCurrent, update = false) {
  if (update && open?.id === id) return fillOpen(isCurrent);
  let target;
  try {
    target = await api.target(id);
  } catch (error) {
    if (isCurrent()) present("target-detail", el("h2", { id: "drawer-title" }, "Not found"), el("p", {}, error.message));
    return;
  }
  if (!isCurrent()) return;
  const holder = el("div", { class: "chart" });
  const ranges = el("div", { class: "ranges", role: "group", "aria-label": "Range" });
  const list = el("ul", { class: "story-list" });
  const more = el("button", { class: "more", hidden: true }, "Show older");
  const alerts = el("div", { class: "episodes" });
  const near = el("section", { testid: "near-misses", hidden: true }, el("h3", {}, "Came near, and did not notify"), el("ul", { class: "story-list" }));
  present(
    "target-detail",
    el(
      "header",
      { class: "drawer-head" },
      el("p", { class: "overline" }, el("span", {}, [target.kind, ...target.groups].join(" · ")), target.blind_since ? el("span", { class: "tag blind" }, "blind since ", when(target.blind_since)) : null),
      el("h2", { id: "drawer-title", dir: "auto" }, target.name),
      el(
        "dl",
        { class: "detail-facts" },
        ...[["Score, 7 d", score(target.score)], ["Surprise", surpriseOf(target)], ["Nearest window", nearest(target) ?? "–"], ["Stories", number(target.stories)], ["Articles", number(target.articles)]].map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value))),
        el("div", {}, el("dt", {}, "Last news"), el("dd", {}, target.last_seen ? when(target.last_seen) : "no news yet")),
      ),
      alerts,
    ),
    el("section", {}, el("div", { class: "card-head" }, el("h3", {}, "Trend"), ranges), holder),
    el("section", {}, el("h3", {}, plural(target.stories, "story", "stories")), list, more),
    near,
  );
  open = { id, chart: new MoodChart(holder, 200), range: 604800, list, more, alerts, near, pages: 1, next: null };
  buttonGroup(ranges, RANGES, open.range, (range) => { open.range = range; fillOpen(isCurrent); });
  more.addEventListener("click", async () => {
    const page = await api.page(open.next);
    list.append(...page.rows.map(storyRow));
    open.next = page.next;
    open.pages += 1;
    more.hidden = page.next === null;
  });
  await fillOpen(isCurrent);
}
