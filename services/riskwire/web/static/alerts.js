// Alerts: the live list, and the details of one alert with its evidence.

import * as api from "./api.js";
import { buttonGroup, el, externalLink, marked } from "./dom.js";
import { present, show } from "./drawer.js";
import { eventName, number, percent, plural, score, sourceLabel, span, when } from "./format.js";
import { eventTags, levelChip } from "./risk.js";

const list = document.getElementById("alert-list");
const more = document.getElementById("alert-more");
const announce = document.getElementById("announce");
const WORDS = { firing: "fired", escalated: "escalated", resolved: "resolved" };
const HANDLED = { acknowledged: "acknowledged", snoozed: "snoozed", false_alarm: "false alarm" };
const NAME_KEY = "riskwire-name";
const NEGATIVE = "Probability that this is negative for the target";

const rows = new Map();
let filter = "";
let next = null;

const newerFirst = (a, b) => (a.at === b.at ? (a.id < b.id ? 1 : -1) : a.at < b.at ? 1 : -1);

function severity(alert) {
  const calm = alert.status === "resolved";
  return el("span", { class: `severity ${calm ? "resolved" : alert.severity}` }, calm ? "resolved" : alert.severity);
}

function row(alert, fresh) {
  const state = [WORDS[alert.status]];
  if (alert.handling) state.push(HANDLED[alert.handling]);
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
      el(
        "span",
        { class: "meta" },
        el("span", {}, state.join(" · ")),
        el("span", {}, plural(alert.stories, "story", "stories")),
        el("span", {}, alert.kind === "event" ? `event · ${alert.tier}` : `surprise ${number(alert.surprise)}`),
      ),
    ),
  );
}

function draw(fresh = null) {
  const shown = [...rows.values()].filter((alert) => filter !== "open" || alert.status !== "resolved").sort(newerFirst);
  const focused = document.activeElement?.id;
  list.replaceChildren(
    ...(shown.length ? shown.map((alert) => row(alert, alert.id === fresh)) : [el("li", { class: "empty" }, "No alerts.")]),
  );
  if (focused?.startsWith("alert-")) document.getElementById(focused)?.focus();
  more.hidden = next === null;
}

export async function load() {
  const page = await api.page(api.alertsPath({ status: filter, limit: 50 }));
  rows.clear();
  for (const alert of page.rows) rows.set(alert.id, alert);
  next = page.next;
  draw();
}

export function receive(alert) {
  const known = rows.get(alert.id);
  rows.set(alert.id, alert);
  const isNew = !known || known.at !== alert.at || known.status !== alert.status;
  draw(isNew ? alert.id : null);
  if (isNew) announce.textContent = `${alert.severity} alert ${WORDS[alert.status]}: ${alert.name}. ${alert.summary}`;
}

export function start() {
  buttonGroup(document.getElementById("alert-filter"), [["", "All"], ["open", "Open"]], filter, (value) => {
    filter = value;
    load();
  });
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
      el("p", { class: "meta" }, el("span", { class: "source" }, sourceLabel(item)), when(item.seen_at), item.level ? el("span", { title: NEGATIVE }, `negative ${percent(item.negative)}`) : null),
    ),
  );
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
      extra: command.until ? "until " + command.until : null,
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

function actions(alert) {
  const name = el("input", { id: "act-name", maxlength: 100, autocomplete: "name", required: true, placeholder: "Your name" });
  name.value = localStorage.getItem(NAME_KEY) ?? "";
  const comment = el("input", { id: "act-comment", maxlength: 2000, autocomplete: "off", placeholder: "Comment (optional)" });
  const message = el("p", { class: "message", role: "status" });
  async function act(kind, more = {}) {
    if (!name.value.trim()) {
      message.textContent = "Enter your name first.";
      name.focus();
      return;
    }
    localStorage.setItem(NAME_KEY, name.value.trim());
    try {
      await api.command({ kind, alert: alert.id, by: name.value.trim(), comment: comment.value.trim(), ...more });
      comment.value = "";
      message.textContent = "Sent; it will appear in the timeline in a moment.";
    } catch (error) {
      message.textContent = error.message;
    }
  }
  const tomorrow = () => new Date(Date.now() + 86400000).toISOString();
  return el(
    "form",
    { class: "actions", onsubmit: (event) => event.preventDefault() },
    el("label", { class: "visually-hidden", for: "act-name" }, "Your name"),
    name,
    el("label", { class: "visually-hidden", for: "act-comment" }, "Comment"),
    comment,
    el(
      "div",
      { class: "buttons" },
      el("button", { type: "button", class: "primary", onclick: () => act("acknowledge") }, "Acknowledge"),
      el("button", { type: "button", onclick: () => act("snooze", { until: tomorrow() }) }, "Snooze 24 h"),
      el("button", { type: "button", onclick: () => act("false_alarm") }, "False alarm"),
      el("button", { type: "button", onclick: () => (comment.value.trim() ? act("comment") : comment.focus()) }, "Comment"),
    ),
    message,
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
        fact("Groups", alert.groups.join(", ") || "–"),
        fact("Model", alert.bundle || "–"),
      ),
      el("p", { class: "aside" }, alert.would_not_fire),
    ),
    el("section", {}, el("h3", {}, `Evidence: ${plural(alert.evidence.length, "story", "stories")}`), el("ul", { class: "story-list" }, alert.evidence.map(evidenceRow))),
    el("section", {}, el("h3", {}, "Timeline"), timeline(alert), actions(alert)),
  );
}
