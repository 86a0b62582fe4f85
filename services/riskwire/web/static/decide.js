// What a person decides about an alert: the form in its drawer, and what was decided so far.

import * as api from "./api.js";
import { el } from "./dom.js";
import { eventName, when } from "./format.js";

const NAME_KEY = "riskwire-name";
const HOUR_MS = 3600000;
const SPANS = [["1 h", 1], ["4 h", 4], ["24 h", 24], ["7 days", 168]];
const REASONS = [
  ["", "False alarm: why?"],
  ["not_adverse", "not bad for it"],
  ["not_material", "too small to matter"],
  ["wrong_party", "about somebody else"],
  ["wrong_type", "something else happened"],
  ["old_news", "old news"],
  ["duplicate", "told already"],
  ["other", "other (see comment)"],
];
const LEVELS = [["", "Right level?"], ["neutral", "neutral"], ["mild", "mild"], ["material", "material"], ["favourable", "favourable"]];
const DONE = { acknowledged: "acknowledged", snoozed: "snoozed", false_alarm: "false alarm" };

/** Who this browser's token belongs to, and what the owner may do. Loaded once. */
let me = null;

export async function loadMe() {
  try {
    me = await api.me();
  } catch {
    me = null; // signed out, or not reachable: the page says so elsewhere
  }
}

/** Returns how an alert was handled in a few words, or an empty text. */
export function handlingText(alert) {
  const words = [];
  if (alert.handling) words.push(DONE[alert.handling]);
  if (alert.reason) words.push(alert.reason.replaceAll("_", " "));
  if (alert.assigned_to) words.push(`assigned to ${alert.assigned_to}`);
  if (alert.muted) words.push("muted");
  return words.join(" · ");
}

function handled(alert, act) {
  const lines = [];
  if (alert.handling) {
    const until = alert.handling === "snoozed" && alert.snoozed_until ? [" until ", when(alert.snoozed_until)] : [];
    const reason = alert.reason ? ` (${alert.reason.replaceAll("_", " ")})` : "";
    lines.push(el("span", {}, `${DONE[alert.handling]}${reason} by ${alert.handled_by}, `, when(alert.handled_at), ...until));
  }
  if (alert.assigned_to) lines.push(el("span", {}, `assigned to ${alert.assigned_to}`));
  if (alert.muted) {
    const unmute = el("button", { type: "button", class: "link", onclick: () => act("unmute", { subject: alert.muted }) }, "Unmute");
    lines.push(el("span", {}, `muted: ${alert.muted} `, unmute));
  }
  return el("p", { class: "meta handled", testid: "handled" }, lines.length ? lines : "Nobody has decided anything yet.");
}

/** Returns what a mute of an alert may name, as pairs of subject and label. */
function subjects(alert) {
  const types = alert.events.length ? alert.events : [alert.kind];
  const publishers = [...new Set(alert.evidence.map((story) => story.publisher || story.source))].slice(0, 8);
  return [
    [`target:${alert.target}`, `Mute ${alert.name}`],
    ...types.map((type) => [`type:${type}`, `Mute the type ${eventName(type)}`]),
    ...publishers.map((publisher) => [`publisher:${publisher}`, `Mute the publisher ${publisher}`]),
  ];
}

function select(id, label, options) {
  return el("select", { id, "aria-label": label }, options.map(([value, text]) => el("option", { value }, text)));
}

/** Returns the form of decisions about an alert. `decided` is called when one was sent. */
export function decisionForm(alert, decided) {
  if (me && !me.roles.includes("operate")) return el("div", { class: "actions" }, handled(alert, () => {}));
  const name = el("input", { id: "act-name", maxlength: 100, autocomplete: "name", required: true, placeholder: "Your name", "aria-label": "Your name" });
  name.value = me?.name ?? localStorage.getItem(NAME_KEY) ?? "";
  name.hidden = Boolean(me?.name);
  const comment = el("input", { id: "act-comment", maxlength: 2000, autocomplete: "off", placeholder: "Comment (optional)", "aria-label": "Comment" });
  const assignee = el("input", { id: "act-assignee", maxlength: 100, autocomplete: "off", placeholder: "Assign to", "aria-label": "Assign to" });
  const length = select("act-length", "How long", SPANS.map(([label, hours]) => [hours, label]));
  length.value = "24";
  const subject = select("act-subject", "What to mute", subjects(alert));
  const reason = select("act-reason", "Why it is a false alarm", REASONS);
  const level = select("act-level", "The right level of its stories", LEVELS);
  const message = el("p", { class: "message", role: "status" });

  async function act(kind, more = {}) {
    if (!name.value.trim()) {
      message.textContent = "Enter your name first.";
      name.focus();
      return;
    }
    if (!me?.name) localStorage.setItem(NAME_KEY, name.value.trim());
    const by = me?.name ? {} : { by: name.value.trim() };
    const about = kind === "mute" || kind === "unmute" ? {} : { alert: alert.id };
    try {
      const answer = await api.command({ kind, ...about, ...by, comment: comment.value.trim(), ...more });
      comment.value = "";
      const before = answer.replaced ? ` It replaces what ${answer.replaced.by} decided: ${answer.replaced.kind.replace("_", " ")}.` : "";
      message.textContent = `Sent; it will appear in a moment.${before}`;
      decided();
    } catch (error) {
      message.textContent = error.message;
    }
  }
  const until = () => new Date(Date.now() + Number(length.value) * HOUR_MS).toISOString();
  const need = (field, kind, more) => (field.value.trim() ? act(kind, more()) : field.focus());
  const closed = alert.handling === "false_alarm";
  const ended = closed || alert.status === "resolved";
  const button = (label, onclick, disabled = false, kind = "") => el("button", { type: "button", class: kind, disabled, onclick }, label);
  return el(
    "form",
    { class: "actions", testid: "actions", "aria-label": "Decide", onsubmit: (event) => event.preventDefault() },
    handled(alert, act),
    name,
    comment,
    el(
      "div",
      { class: "buttons" },
      button("Acknowledge", () => act("acknowledge"), ended, "primary"),
      button("Snooze", () => act("snooze", { until: until() }), ended),
      length,
      button("Comment", () => need(comment, "comment", () => ({}))),
      el("span", { class: "pair" }, assignee, button("Assign", () => need(assignee, "assign", () => ({ assignee: assignee.value.trim() })), ended)),
      el("span", { class: "pair" }, subject, button("Mute", () => act("mute", { subject: subject.value, until: until() }))),
      el("span", { class: "pair" }, reason, button("False alarm", () => act("false_alarm", { reason: reason.value || null }), closed)),
      el("span", { class: "pair" }, level, button("Correct", () => (level.value ? act("correct", { level: level.value }) : level.focus()))),
    ),
    message,
  );
}
