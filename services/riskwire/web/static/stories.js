// Rows of stories. A story shows its level and what happened first; one of a target, the sentence about that target.

import { el, externalLink, marked } from "./dom.js";
import { leaning, plural, score, sourceLabel, times } from "./format.js";
import { eventTags, levelChip } from "./risk.js";

const SCORE = "Score: positive − negative";

export function storyRow(story) {
  const meta = [el("span", { class: "source" }, sourceLabel(story)), ...times(story)];
  if (story.articles > 1) meta.push(el("span", { class: "tag" }, plural(story.articles, "article")));
  if (isBackfill(story)) {
    const title = "Published long before it was seen: it counts when it was published, and fires no alert";
    meta.push(el("span", { class: "tag", title }, "backfill"));
  }
  if (story.status === "unsupported") {
    meta.push(el("span", { class: "tag" }, `not read: ${story.language ?? "unknown language"}`));
  }
  if (story.level) meta.push(el("span", { title: SCORE }, `score ${score(story.score)}`));
  for (const topic of (story.topics ?? []).slice(0, 2)) meta.push(el("span", { class: "topic" }, topic));
  return el(
    "li",
    { class: "story", testid: "story-row" },
    levelChip(story, el("span", { class: `chip ${leaning(story.score)}`, title: SCORE }, score(story.score))),
    el(
      "div",
      { class: "story-body" },
      eventTags(story),
      externalLink(story.url, story.title, { class: "story-title", dir: "auto" }),
      story.evidence ? marked(story.evidence.text, story.evidence.start, story.evidence.end) : null,
      el("p", { class: "meta" }, meta),
    ),
  );
}

function isBackfill(story) {
  return story.counted_at !== story.seen_at;
}
