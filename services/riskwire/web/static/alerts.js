// Alerts: the live list, and the details of one alert with its evidence.

import * as api from "./api.js";
import { buttonGroup, el, externalLink, marked } from "./dom.js";
import { decisionForm, handlingText } from "./decide.js";
import { present, show } from "./drawer.js";
import { eventName, number, percent, plural, score, sourceLabel, span, times, when } from "./format.js";
import { eventTags, levelChip } from "./risk.js";

const list = document.getElementById("alert-list");
const more = document.getElementById("alert-more");
const announce = document.getElementById("announce");
const WORDS = { firing: "fired", escalated: "escalated", resolved: "resolved" };
const FILTER_KEY = "riskwire-alert-filter";
const NEGATIVE = "Probability that this is negative for the target";

const rows = new Map();
const arrived = new Map(); // what the stream has brought since the last load began: the answer may be older
let filter = sessionStorage.getItem(FILTER_KEY) ?? "";
let next = null;

const SEVERITIES = { warning: 1, high: 2, critical: 3 };
const ORDER_KEY = "riskwire-alert-order";
let order = sessionStorage.getItem(ORDER_KEY) ?? "newest";

const priority = (alert) => alert.weight * SEVERITIES[alert.severity];
const newerFirst = (a, b) => (a.at === b.at ? (a.id < b.id ? 1 : -1) : a.at < b.at ? 1 : -1);

const inOrder = (a, b) => (order === "priority" && priority(b) - priority(a)) || newerFirst(a, b);

function severity(alert) {
  const calm = alert.status === "resolved";
  return el("span", { class: `severity ${calm ? "resolved" : alert.severity}` }, calm ? "resolved" : alert.severity);
}

/** Returns what an alert was about: its event types, and the title of the story that weighs most; null without a story. */
export function reasonOf(alert) {
  const story = alert.evidence[0];
  if (!story) return null;
  const types = alert.events.map(eventName).join(", ");
  return el("span", { class: "alert-reason", testid: "alert-reason", dir: "auto" }, types ? el("strong", {}, `${types}: `) : "", `${story.title} (${story.publisher || story.source})`);
}

function row(alert, fresh) {
  const state = [WORDS[alert.status], handlingText(alert)].filter(Boolean);
  return el(
    "li",
    {},
    el(
      "button",
      {
        id: `alert-${alert.id}`,
        class: `alert-row ${alert.status === "resolved" ? "calm" : alert.severity}${fresh ? " fresh" : ""}`,
        testid: "alert-row",
        onclick: () => show("alert", alert.id),
      },
      el("span", { class: "alert-head" }, severity(alert), el("strong", { dir: "auto" }, alert.name), when(alert.at)),
      el("span", { class: "alert-summary", dir: "auto" }, alert.summary),
      reasonOf(alert),
      el(
        "span",
        { class: "meta" },
        el("span", {}, state.join(" · ")),
        el("span", {}, plural(alert.stories, "story", "stories")),
        alert.weight === 1 ? null : el("span", { testid: "alert-weight" }, `weight ${alert.weight}`),
        el("span", {}, alert.kind === "event" ? `event · ${alert.tier}` : `surprise ${number(alert.surprise)}`),
      ),
    ),
  );
}

function draw(fresh = null) {
  const shown = [...rows.values()].filter((alert) => filter !== "open" || (alert.status !== "resolved" && alert.handling !== "false_alarm")).sort(inOrder);
  const focused = document.activeElement?.id;
  list.replaceChildren(
    ...(shown.length ? shown.map((alert) => row(alert, alert.id === fresh)) : [el("li", { class: "empty" }, "No alerts.")]),
  );
  if (focused?.startsWith("alert-")) document.getElementById(focused)?.focus();
  more.hidden = next === null;
  more.textContent = order === "priority" ? "Show more" : "Show older";
}

export async function load() {
  arrived.clear();
  const page = await api.page(api.alertsPath({ status: filter, limit: 50, order: order === "newest" ? "" : order }));
  rows.clear();
  for (const alert of [...page.rows, ...arrived.values()]) rows.set(alert.id, alert);
  next = page.next;
  draw();
}

export function receive(alert) {
  const known = rows.get(alert.id);
  rows.set(alert.id, alert);
  arrived.set(alert.id, alert);
  const isNew = !known || known.at !== alert.at || known.status !== alert.status;
  draw(isNew ? alert.id : null);
  if (isNew) announce.textContent = `${alert.severity} alert ${WORDS[alert.status]}: ${alert.name}. ${alert.summary}`;
}

export function start() {
  buttonGroup(document.getElementById("alert-filter"), [["", "All"], ["open", "Open"]], filter, (value) => {
    filter = value;
    sessionStorage.setItem(FILTER_KEY, value);
    load();
  });
  buttonGroup(
    document.getElementById("alert-order"),
    [["newest", "Newest"], ["priority", "Exposure", "The largest weight times severity first"]],
    order,
    (value) => {
      order = value;
      sessionStorage.setItem(ORDER_KEY, value);
      load();
    },
  );
  more.addEventListener("click", async () => {
    const page = await api.page(next);
    for (const alert of page.rows) if (!rows.has(alert.id)) rows.set(alert.id, alert);
    next = page.next;
    draw();
  });
}

function measure(label, value, max, kind, text) {
  return el(
    "div",
    { class: "measure" },
    el("span", {}, label),
    el("span", { class: "track", "aria-hidden": "true" }, el("span", { class: kind, style: { width: `${Math.min(100, (100 * value) / (max || 1))}%` } })),
    el("strong", {}, text),
  );
}

/** Returns the verdict on an event: its types, and the probability of the story that decided beside the threshold. */
function whatHappened(alert) {
  return [
    el("h3", {}, "What happened"),
    el("p", { class: "events", testid: "alert-events" }, alert.events.map((code) => el("span", { class: "event" }, eventName(code)))),
    measure("Material", alert.level?.material ?? 0, 1, "negative", percent(alert.level?.material ?? 0)),
    measure("Threshold", alert.threshold, 1, "plain", percent(alert.threshold)),
    measure("Adverse", alert.adverse ?? 0, 1, "negative", percent(alert.adverse ?? 0)),
  ];
}

/** Returns the verdict on a spike: the stories seen and expected, and the surprise beside the threshold. */
function expectedAndSeen(alert) {
  const maxStories = Math.max(alert.stories, alert.expected);
  const maxSurprise = Math.max(alert.surprise, alert.threshold);
  return [
    el("h3", {}, `Expected and seen, ${span(alert.window_s)} window`),
    measure("Seen", alert.stories, maxStories, "negative", `${plural(alert.stories, "negative story", "negative stories")}`),
    measure("Expected", alert.expected, maxStories, "plain", number(alert.expected)),
    measure("Surprise", alert.surprise, maxSurprise, "negative", number(alert.surprise)),
    measure("Threshold", alert.threshold, maxSurprise, "plain", number(alert.threshold)),
  ];
}

function fact(label, ...value) {
  return el("div", {}, el("dt", {}, label), el("dd", {}, ...value));
}

function evidenceRow(item) {
  return el(
    "li",
    { class: "story", testid: "evidence" },
    levelChip(item, el("span", { class: "chip negative", title: NEGATIVE }, percent(item.negative))),
    el(
      "div",
      { class: "story-body" },
      eventTags(item),
      externalLink(item.url, item.title, { class: "story-title", dir: "auto" }),
      marked(item.text, item.start, item.end),
      el("p", { class: "meta" }, el("span", { class: "source" }, sourceLabel(item)), ...times(item), item.level ? el("span", { title: NEGATIVE }, `negative ${percent(item.negative)}`) : null),
    ),
  );
}

/** Returns what else a decision says: the reason, the assignee, the right labels, its end; null if nothing. */
function detailsOf({ value, until }) {
  const words = [value?.reason?.replaceAll("_", " "), value?.assignee && `to ${value.assignee}`, value?.level, ...(value?.events ?? []).map(eventName)];
  if (until) words.push(`until ${until.slice(0, 16).replace("T", " ")} UTC`);
  return words.filter(Boolean).join(" · ") || null;
}

function timeline(alert) {
  const events = [
    ...alert.records.map((record) => ({
      at: record.at,
      kind: record.status === "resolved" ? "resolved" : record.severity,
      title: WORDS[record.status],
      detail: record.summary,
      extra: record.status === "resolved" ? null : `${record.severity} · ${record.kind === "event" ? record.tier : `surprise ${number(record.surprise)}`} · ${plural(record.stories, "story", "stories")}`,
    })),
    ...alert.commands.map((command) => ({
      at: command.at,
      kind: "command",
      title: `${command.kind.replace("_", " ")} by ${command.by}`,
      detail: command.comment,
      extra: detailsOf(command),
    })),
  ].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  return el(
    "ol",
    { class: "timeline" },
    events.map((event) =>
      el(
        "li",
        { class: event.kind },
        el("p", { class: "timeline-head" }, el("strong", {}, event.title), when(event.at)),
        event.extra ? el("p", { class: "meta" }, event.extra) : null,
        event.detail ? el("p", { dir: "auto" }, event.detail) : null,
      ),
    ),
  );
}

/** Shows an alert in the drawer, or redraws it. `isCurrent` returns whether the drawer should still show it. */
export async function openAlert(id, isCurrent) {
  let alert;
  try {
    alert = await api.alert(id);
  } catch (error) {
    if (isCurrent()) present("alert-detail", el("h2", { id: "drawer-title" }, "Not found"), el("p", {}, error.message));
    return;
  }
  if (!isCurrent()) return;
  present(
    "alert-detail",
    el(
      "header",
      { class: "drawer-head" },
      el("p", { class: "overline" }, severity(alert), el("span", {}, `${WORDS[alert.status]} `, when(alert.at))),
      el("h2", { id: "drawer-title", dir: "auto" }, alert.name),
      el("p", { class: "lead", dir: "auto" }, alert.summary),
      decisionForm(alert, () => window.dispatchEvent(new Event("riskwire-decided"))),
      el("button", { class: "link", onclick: () => show("target", alert.target) }, "Trend and all stories of this target →"),
    ),
    alert.blind ? el("p", { class: "notice inline" }, "Some of its sources are silent: this may be less than the whole picture.") : null,
    el(
      "section",
      {},
      ...(alert.kind === "event" ? whatHappened(alert) : expectedAndSeen(alert)),
      el(
        "dl",
        { class: "detail-facts" },
        fact("Sources", number(alert.sources)),
        ...(alert.kind === "event"
          ? [fact("Novelty", percent(alert.novelty ?? 1)), fact("Relevance", percent(alert.relevance ?? 1))]
          : [fact("Score now", score(alert.score)), fact("Usually", score(alert.baseline_score))]),
        fact("Opened", when(alert.opened_at)),
        fact("Kind", alert.kind),
        fact("Tier", alert.tier),
        fact("Weight", String(alert.weight)),
        fact("Groups", alert.groups.join(", ") || "–"),
        fact("Model", alert.bundle || "–"),
      ),
      el("p", { class: "aside" }, alert.would_not_fire),
    ),
    el("section", {}, el("h3", {}, `Evidence: ${plural(alert.evidence.length, "story", "stories")}`), el("ul", { class: "story-list" }, alert.evidence.map(evidenceRow))),
    el("section", {}, el("h3", {}, "Timeline"), timeline(alert)),
  );
}
