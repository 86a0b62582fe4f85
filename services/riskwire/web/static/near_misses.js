// Rows of near misses: stories that came near an event alert of a target, each with the reason why it did not notify.

import { el, externalLink } from "./dom.js";
import { percent, sourceLabel, times } from "./format.js";
import { eventTags, levelChip } from "./risk.js";

const REASONS = {
  level: "level",
  same_episode: "same alert",
  backfill: "backfill",
  language: "language",
  relevance: "relevance",
  novelty: "told before",
  threshold: "threshold",
  corroboration: "waits for a second publisher",
  muted: "muted",
};

export function nearMissRow(miss) {
  return el(
    "li",
    { class: "story", testid: "near-miss" },
    levelChip(miss, null),
    el(
      "div",
      { class: "story-body" },
      eventTags(miss),
      externalLink(miss.url, miss.title, { class: "story-title", dir: "auto" }),
      el("p", { class: "quote" }, miss.detail),
      el(
        "p",
        { class: "meta" },
        el("span", { class: "tag", testid: "reason" }, REASONS[miss.reason] ?? miss.reason),
        el("span", { class: "source" }, sourceLabel(miss)),
        ...times(miss),
        el("span", {}, `novelty ${percent(miss.novelty)}`),
        el("span", {}, `relevance ${percent(miss.relevance)}`),
      ),
    ),
  );
}
