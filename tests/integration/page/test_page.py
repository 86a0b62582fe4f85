"""The page in a real browser: its contents, live updates, and hostile news."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import fictional
import pytest
from page_browser.open_page import open_page
from playwright.async_api import Browser, expect
from serving import write_with_sink

from riskwire.pipeline import Topic
from riskwire.records import Evidence

pytestmark = [pytest.mark.needs_browser, pytest.mark.asyncio(loop_scope="module")]

HOSTILE_TEXT = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script> \U0001f4a5\U0001f4a5 Veldara'


async def test_the_page_shows_mood_alerts_targets_and_status(browser: Browser, tmp_path: Path) -> None:
    """The fictional news has three alerts, the worst about Veldara, and ends on 2 March. The console has no errors."""
    async with open_page(browser, tmp_path) as opened:
        page = opened.page
        await expect(page.get_by_test_id("alert-row")).to_have_count(3)
        await expect(page.get_by_test_id("alert-row").first).to_contain_text("Veldara Chemicals")
        await expect(page.get_by_test_id("alert-row").first).to_contain_text("critical")
        await expect(page.get_by_test_id("target-row")).to_have_count(len(fictional.NAMES))
        await expect(page.get_by_test_id("market-chart").locator("canvas")).to_be_visible()
        await expect(page.get_by_test_id("market-chart")).to_contain_text("stories")
        await expect(page.get_by_test_id("status")).to_contain_text("2 Mar")
        await expect(page.get_by_test_id("status")).to_contain_text("fictional@1")
        assert opened.errors == []


async def test_an_alert_opens_with_its_evidence_and_marked_spans(browser: Browser, tmp_path: Path) -> None:
    """The first alert has six stories as evidence. Escape closes it, and its row has the focus again."""
    async with open_page(browser, tmp_path) as opened:
        page = opened.page
        await page.get_by_test_id("alert-row").first.click()
        detail = page.get_by_test_id("alert-detail")
        await expect(detail.get_by_role("heading", name="Veldara Chemicals")).to_be_visible()
        await expect(detail.get_by_test_id("evidence")).to_have_count(6)
        await expect(detail.locator("[data-testid=evidence] mark").first).to_have_text("Veldara Chemicals")
        await expect(detail).to_contain_text("19 negative stories")
        await expect(detail).to_contain_text("would not have fired")
        await expect(detail.locator(".timeline-head strong")).to_have_text(["Fired", "Escalated"], use_inner_text=True)
        link = detail.get_by_test_id("evidence").first.get_by_role("link")
        await expect(link).to_have_attribute("rel", "noopener noreferrer")
        await page.keyboard.press("Escape")
        await expect(page.get_by_test_id("alert-detail")).to_have_count(0)
        await expect(page.get_by_test_id("alert-row").first).to_be_focused()
        assert opened.errors == []


async def test_a_target_opens_with_its_trend_and_stories(browser: Browser, tmp_path: Path) -> None:
    async with open_page(browser, tmp_path) as opened:
        page = opened.page
        await page.get_by_test_id("target-row").filter(has_text="Veldara").click()
        detail = page.get_by_test_id("target-detail")
        await expect(detail.locator("canvas")).to_be_visible()
        await expect(detail.get_by_test_id("story-row").first.locator("mark")).to_have_text("Veldara Chemicals")
        await detail.get_by_role("button", name="24 h").click()
        await expect(detail.get_by_role("button", name="24 h")).to_have_attribute("aria-pressed", "true")
        assert opened.errors == []


async def test_an_event_says_what_happened_and_its_target_what_came_near(browser: Browser, tmp_path: Path) -> None:
    """The alert shows kind, tier and event types; from it, the target lists a near miss with the reason."""
    async with open_page(browser, tmp_path) as opened:
        page = opened.page
        at = fictional.NOON + timedelta(minutes=1)
        event = fictional.alert(
            "event", target="entity:pelorum", at=at, kind="event", tier="page", events=("recall", "results_bad")
        )
        miss = fictional.near_miss(1, at, target="entity:pelorum", reason="corroboration")
        await write_with_sink(opened.store, {Topic.NEAR_MISSES: [miss], Topic.ALERTS: [event]})
        row = page.get_by_test_id("alert-row").filter(has_text="Pelorum")
        await expect(row).to_contain_text("event · page")
        await row.click()
        detail = page.get_by_test_id("alert-detail")
        await expect(detail.get_by_test_id("alert-events").locator(".event")).to_have_text(["recall", "results bad"])
        await detail.get_by_role("button", name="all stories of this target").click()
        near = page.get_by_test_id("target-detail").get_by_test_id("near-misses")
        await expect(near.get_by_test_id("reason")).to_have_text(["waits for a second publisher"])
        await expect(near).to_contain_text("It is material with 0.41; 0.55 fires.")
        assert opened.errors == []


async def test_every_target_shows_how_near_it_is_to_firing(browser: Browser, tmp_path: Path) -> None:
    """The surprise of Arctessa is below the threshold; that of Veldara is above."""
    async with open_page(browser, tmp_path) as opened:
        rows = opened.page.get_by_test_id("target-row")
        await expect(rows.locator(".surprise")).to_have_text([re.compile(r"^[\d.]+ of 3\.9$")] * len(fictional.NAMES))
        await expect(rows.get_by_test_id("nearest")).to_have_text(
            [re.compile(r"^\d+ of 3 stories in 6 h$")] * len(fictional.NAMES)
        )
        await rows.filter(has_text="Veldara").click()
        facts = opened.page.get_by_test_id("target-detail").locator(".detail-facts")
        await expect(facts).to_contain_text("of 3 stories in 6 h")


async def test_backfill_shows_when_it_was_published_and_when_it_was_seen(browser: Browser, tmp_path: Path) -> None:
    """Other news shows when it was seen alone. Times are in the zone of the setting, which the page names."""
    async with open_page(browser, tmp_path, time_zone="Asia/Tokyo") as opened:
        page = opened.page
        await expect(page.get_by_test_id("status")).to_contain_text("Asia/Tokyo")
        published, seen = fictional.NOON + timedelta(hours=1), fictional.NOON + timedelta(hours=10)
        late = fictional.analysis("late", at=seen, title="Old news", published_at=published, backfill=True)
        fresh = fictional.analysis("fresh", title="Fresh news")
        await write_with_sink(opened.store, {Topic.ANALYSES: [late, fresh]})
        row = page.locator("#news-list").get_by_test_id("story-row").filter(has_text="Old news")
        await expect(row.locator(".meta")).to_contain_text(re.compile(r"published 2 Mar.*, 22:00seen 3 Mar.*, 07:00"))
        await expect(row.locator(".meta")).to_contain_text("backfill")
        row = page.locator("#news-list").get_by_test_id("story-row").filter(has_text="Fresh news")
        await expect(row.locator(".meta")).to_contain_text("21:00")
        await expect(row.locator(".meta")).not_to_contain_text("published")
        assert opened.errors == []


async def test_level_and_event_types_come_first_in_stories_news_and_evidence(browser: Browser, tmp_path: Path) -> None:
    """The crisis is material. A story of an old bundle has no level; its score takes that place."""
    async with open_page(browser, tmp_path) as opened:
        page = opened.page
        unknown = {"level": None, "adverse": None, "events": None, "adverse_from": None}
        old = fictional.signal("old", at=fictional.NOON, score=-0.5, title="Of an old bundle", **unknown)
        doubtful = fictional.signal("doubtful", score=-0.4, title="Doubtful", adverse_from=0.7)
        await write_with_sink(opened.store, {Topic.SIGNALS: [old, doubtful]})
        await expect(page.locator("#news-list .chip.level").first).to_be_visible()
        await page.get_by_test_id("target-row").filter(has_text="Veldara").click()
        stories = page.get_by_test_id("target-detail").get_by_test_id("story-row")
        material = stories.filter(has=page.locator(".chip.material")).first
        await expect(material.get_by_test_id("level")).to_have_text("material")
        await expect(material.get_by_test_id("events")).to_have_text("accidentinvestigation")
        await expect(material.locator(".meta")).to_contain_text("score −")
        first_child = (
            "row => row.firstElementChild.dataset.testid + ' ' + row.lastElementChild.firstElementChild.dataset.testid"
        )
        assert await material.evaluate(first_child) == "level events"
        await expect(stories.filter(has_text="Of an old bundle").locator(".chip")).to_have_text("−0.50")
        await expect(stories.filter(has_text="Doubtful").get_by_test_id("level")).to_have_text("neutral")
        await page.keyboard.press("Escape")
        await page.get_by_test_id("alert-row").first.click()
        evidence = page.get_by_test_id("evidence").first
        await expect(evidence.get_by_test_id("level")).to_have_text("material")
        await expect(evidence.get_by_test_id("events")).to_contain_text("accident")
        assert opened.errors == []


async def test_a_new_alert_appears_without_a_reload(browser: Browser, tmp_path: Path) -> None:
    """A variable of the window, which a reload would delete, is still set. Then the alert is resolved."""
    async with open_page(browser, tmp_path) as opened:
        page = opened.page
        await expect(page.get_by_test_id("alert-row")).to_have_count(3)
        await page.evaluate("window.notReloaded = true")
        later = fictional.NOON + timedelta(minutes=1)
        fresh = fictional.alert("fresh", target="entity:pelorum", at=later, severity="critical")
        await write_with_sink(opened.store, {Topic.ALERTS: [fresh]})
        await expect(page.get_by_test_id("alert-row")).to_have_count(4)
        await expect(page.get_by_test_id("alert-row").first).to_contain_text("Pelorum Energy")
        await expect(page.get_by_test_id("status")).to_contain_text("3")
        assert await page.evaluate("window.notReloaded")
        await write_with_sink(
            opened.store,
            {Topic.ALERTS: [fresh.model_copy(update={"status": "resolved", "at": later + timedelta(days=3)})]},
        )
        await expect(page.get_by_test_id("alert-row").first).to_contain_text("resolved")
        await expect(page.get_by_test_id("alert-row")).to_have_count(4)


async def test_an_open_alert_shows_new_records_of_its_episode(browser: Browser, tmp_path: Path) -> None:
    """The alert has one record when it is opened; a second is written to the store meanwhile."""
    async with open_page(browser, tmp_path) as opened:
        page = opened.page
        await page.get_by_test_id("alert-row").filter(has_text="Osmark").click()
        await expect(page.locator(".timeline-head")).to_have_count(1)
        await write_with_sink(
            opened.store,
            {Topic.ALERTS: [fictional.alert("osmark", target="entity:osmark", status="escalated", at=fictional.NOON)]},
        )
        await expect(page.locator(".timeline-head")).to_have_count(2)


async def test_hostile_news_is_shown_as_text_without_links(browser: Browser, tmp_path: Path) -> None:
    """Names, titles and texts contain markup that would set `window.hurt`, and links are scripts."""
    async with open_page(browser, tmp_path) as opened:
        page = opened.page
        start = len(HOSTILE_TEXT) - len("Veldara")
        evidence = fictional.evidence(
            0, text=HOSTILE_TEXT, start=start, end=len(HOSTILE_TEXT), title=HOSTILE_TEXT, url="javascript:window.hurt=1"
        )
        hostile = {"name": HOSTILE_TEXT, "target": "entity:<b>&\"'/ %2e", "severity": "critical"}
        later = fictional.NOON + timedelta(hours=1)
        signal = fictional.signal(
            "x",
            target="entity:<b>&\"'/ %2e",
            name=HOSTILE_TEXT,
            title=HOSTILE_TEXT,
            url="javascript:window.hurt=1",
            at=later,
            evidence=Evidence(text=HOSTILE_TEXT, start=start, end=len(HOSTILE_TEXT)),
        )
        await write_with_sink(
            opened.store,
            {
                Topic.ANALYSES: [fictional.analysis("x", title=HOSTILE_TEXT, at=later)],
                Topic.SIGNALS: [signal],
                Topic.ALERTS: [fictional.alert("x", at=later, summary=HOSTILE_TEXT, evidence=(evidence,), **hostile)],
            },
        )
        row = page.get_by_test_id("alert-row").filter(has_text="<img src=x")
        await row.click()
        detail = page.get_by_test_id("alert-detail")
        # Offsets count code points: an emoji before the span counts as one, not two.
        await expect(detail.locator("mark")).to_have_text("Veldara")
        await expect(detail.get_by_test_id("evidence").get_by_role("link")).to_have_count(0)
        await detail.get_by_role("button", name="Trend and all stories").click()
        await expect(page.get_by_test_id("target-detail").locator("mark")).to_have_text("Veldara")
        assert await page.locator("main img, main script, dialog img, dialog script").count() == 0
        assert await page.evaluate("window.hurt") is None
        assert opened.errors == []


async def test_an_alert_can_be_acknowledged(browser: Browser, tmp_path: Path) -> None:
    async with open_page(browser, tmp_path) as opened:
        page = opened.page
        await page.get_by_test_id("alert-row").first.click()
        await page.get_by_label("Your name").fill("Ada")
        await page.get_by_label("Comment", exact=True).fill("calling their treasurer")
        await page.get_by_role("button", name="Acknowledge").click()
        await expect(page.locator(".timeline")).to_contain_text("acknowledge by Ada")
        await expect(page.locator(".timeline")).to_contain_text("calling their treasurer")
        await page.keyboard.press("Escape")
        await expect(page.get_by_test_id("alert-row").first).to_contain_text("acknowledged")


async def test_targets_can_be_searched_and_sorted_from_the_keyboard(browser: Browser, tmp_path: Path) -> None:
    """A search matches names and groups: two companies are in the group of banks."""
    async with open_page(browser, tmp_path) as opened:
        page = opened.page
        rows = page.get_by_test_id("target-row")
        await page.get_by_label("Find a target").fill("bank")
        await expect(rows).to_have_count(2)
        await page.get_by_label("Find a target").fill("")
        await expect(rows).to_have_count(len(fictional.NAMES))
        await page.get_by_role("button", name="Name", exact=True).focus()
        await page.keyboard.press("Enter")
        await expect(rows.first).to_contain_text("Arctessa Air")
        await rows.first.get_by_role("button").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("target-detail")).to_be_visible()


async def test_a_deep_link_opens_a_target_and_back_closes_it(browser: Browser, tmp_path: Path) -> None:
    async with open_page(browser, tmp_path) as opened:
        page = opened.page
        await page.goto(f"{opened.url}/#target/{fictional.VELDARA}")
        await expect(page.get_by_test_id("target-detail")).to_contain_text("Veldara Chemicals")
        await page.go_back()
        await expect(page.get_by_test_id("target-detail")).to_have_count(0)


async def test_a_token_in_the_address_opens_the_page_and_then_the_cookie_does(browser: Browser, tmp_path: Path) -> None:
    async with open_page(browser, tmp_path, token="s3cret-of-a-test-0") as opened:
        await expect(opened.page.get_by_test_id("alert-row")).to_have_count(3)
        assert "token" not in opened.page.url
        await opened.page.goto(opened.url)
        await expect(opened.page.get_by_test_id("alert-row")).to_have_count(3)
        assert opened.errors == []


@pytest.mark.parametrize("width", [1440, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_has_contrast_and_fits_the_width(browser: Browser, tmp_path: Path, width: int, scheme: str) -> None:
    """`LOW_CONTRAST_TEXTS` returns the visible texts whose contrast with their background is below 4.5."""
    async with open_page(browser, tmp_path, width=width, scheme=scheme) as opened:
        page = opened.page
        await expect(page.get_by_test_id("target-row")).to_have_count(len(fictional.NAMES))
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await page.evaluate(LOW_CONTRAST_TEXTS) == []
        await page.get_by_test_id("alert-row").first.click()
        await expect(page.get_by_test_id("evidence")).to_have_count(6)
        assert await page.evaluate("document.getElementById('drawer').scrollWidth <= innerWidth")
        assert await page.evaluate(LOW_CONTRAST_TEXTS) == []


LOW_CONTRAST_TEXTS = """() => {
  const parts = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const background = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parts(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const hidden = !node.checkVisibility() || node.closest("noscript, :disabled, option");
    if (hidden || !walker.currentNode.textContent.trim()) continue;
    const [a, b] = [luminance(parts(getComputedStyle(node).color)), luminance(background(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) texts.push(`${node.className}: ${node.textContent.slice(0, 30)}`);
  }
  return texts;
}"""
