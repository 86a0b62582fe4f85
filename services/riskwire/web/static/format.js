// Formats numbers and times. Times are in one zone, which the page names; the title of each shows UTC.

import { el } from "./dom.js";

/** The zone in which the page shows times: the setting `time_zone`, or else that of the browser. */
export let timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const formats = new Map();

/** Shows times in this zone from now on; null, or a zone that the browser does not know, keeps the present one. */
export function setTimeZone(name) {
  try {
    timeZone = Intl.DateTimeFormat(undefined, { timeZone: name ?? timeZone }).resolvedOptions().timeZone;
    formats.clear();
  } catch {
    // the browser does not know the zone
  }
}

/** Returns a date in the zone of the page, formatted by the options of `Intl.DateTimeFormat`. */
export function formatDate(date, options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(undefined, { ...options, timeZone }));
  return formats.get(key).format(date);
}

export const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
export const DAY = { day: "numeric", month: "short" };
const YEAR = { year: "numeric" };

export function time(iso) {
  if (!iso) return "–";
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "–";
  const now = new Date();
  const isThisYear = formatDate(at, YEAR) === formatDate(now, YEAR);
  const isToday = isThisYear && formatDate(at, DAY) === formatDate(now, DAY);
  return isToday ? formatDate(at, CLOCK) : `${formatDate(at, isThisYear ? DAY : { ...DAY, ...YEAR })}, ${formatDate(at, CLOCK)}`;
}

export function when(iso) {
  return el("time", { datetime: iso, title: iso ? iso.replace("T", " ").replace("Z", " UTC") : null }, time(iso));
}

/** Returns when a story was published and when it was seen; only when it was seen if that is within a minute. */
export function times({ published_at: published, seen_at: seen }) {
  if (!published || Math.abs(new Date(seen) - new Date(published)) < 60000) return [when(seen)];
  return [el("span", {}, "published ", when(published)), el("span", {}, "seen ", when(seen))];
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
