// What happened and how bad it is: the level of a story or of evidence, and its event types.

import { el } from "./dom.js";
import { eventName, levelLabel, percent } from "./format.js";

/** Returns the chip of a level; `fallback` where the level is unknown, as in records of riskwire 0.1. */
export function levelChip(item, fallback) {
  const label = levelLabel(item);
  if (label === null) return fallback;
  const title = `Adverse: ${percent(item.adverse)} (mild ${percent(item.level.mild)}, material ${percent(item.level.material)})`;
  return el("span", { class: `chip level ${label}`, testid: "level", title }, label);
}

/** Returns the event types of a story or of evidence as tags, the most probable first; null if there are none. */
export function eventTags(item) {
  if (!item.events?.length) return null;
  return el(
    "p",
    { class: "events", testid: "events" },
    item.events.map((event) => el("span", { class: "event", title: `Probability: ${percent(event.score)}` }, eventName(event.label))),
  );
}
