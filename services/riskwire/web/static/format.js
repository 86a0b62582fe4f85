// Formats numbers and times. Times are in the browser's time zone; the title of each shows UTC.

import { el } from "./dom.js";

const THIS_YEAR = new Date().getFullYear();
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dated = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

export function time(iso) {
  if (!iso) return "–";
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "–";
  const date = at.getFullYear() === THIS_YEAR ? day.format(at) : dated.format(at);
  return at.toDateString() === new Date().toDateString() ? clock.format(at) : `${date}, ${clock.format(at)}`;
}

export function when(iso) {
  return el("time", { datetime: iso, title: iso ? iso.replace("T", " ").replace("Z", " UTC") : null }, time(iso));
}

export function score(value) {
  if (value === null || value === undefined) return "–";
  const text = Math.abs(value).toFixed(2);
  if (text === "0.00") return "0.00";
  return (value < 0 ? "−" : "+") + text;
}

/** Returns the class of a score. */
export function leaning(value) {
  if (value === null || value === undefined) return "none";
  return value <= -0.15 ? "negative" : value >= 0.15 ? "positive" : "neutral";
}

/**
 * Returns the level to show of a story or of evidence, or null if it is unknown.
 *
 * The same rule as `Level.label` of the records: adverse from the threshold of the bundle (0.5 without one).
 */
export function levelLabel({ level, adverse, adverse_from: threshold }) {
  if (!level) return null;
  if (adverse >= (threshold ?? 0.5)) return level.material >= level.mild ? "material" : "mild";
  return level.favourable > level.neutral ? "favourable" : "neutral";
}

/** Returns the name of an event type: "credit downgrade" for credit_downgrade. */
export function eventName(label) {
  return label.replaceAll("_", " ");
}

export function percent(probability) {
  return `${Math.round(probability * 100)}%`;
}

export function number(value) {
  return new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 }).format(value);
}

export function span(seconds) {
  if (seconds % 86400 === 0) return `${seconds / 86400} d`;
  if (seconds % 3600 === 0) return `${seconds / 3600} h`;
  if (seconds % 60 === 0) return `${seconds / 60} min`;
  return `${seconds} s`;
}

/** The publisher of a story and the feed that delivered it; only the feed if they are the same. */
export function sourceLabel({ publisher, source }) {
  return publisher && publisher !== source ? `${publisher} via ${source}` : source;
}

export function plural(count, singular, plural = `${singular}s`) {
  return `${number(count)} ${count === 1 ? singular : plural}`;
}
