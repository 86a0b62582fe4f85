"""What people decide on the page, what it then shows, and that filters and small windows keep their form."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import fictional
import pytest
from page_browser.open_page import OpenPage, open_page
from playwright.async_api import Browser, Page, expect
from pydantic import SecretStr
from serving import write_with_sink

from riskwire.errors import NotifyError
from riskwire.pipeline import Topic
from riskwire.settings import TokenSettings
from riskwire.web import SilenceRow

pytestmark = [pytest.mark.needs_browser, pytest.mark.asyncio(loop_scope="module")]

IN_SIGHT = """form => [...form.querySelectorAll("button")].every(button => {
  const place = button.getBoundingClientRect();
  return place.top >= 0 && place.bottom <= innerHeight && place.left >= 0 && place.right <= innerWidth;
})"""


async def decide(opened: OpenPage) -> Page:
    """Opens the first alert, which is about Veldara, and enters a name."""
    await opened.page.get_by_test_id("alert-row").first.click()
    await opened.page.get_by_label("Your name").fill("Ada")
    return opened.page


async def test_each_decision_is_one_press_and_shows_in_the_alert(browser: Browser, tmp_path: Path) -> None:
    async with open_page(browser, tmp_path) as opened:
        page = await decide(opened)
        detail = page.get_by_test_id("alert-detail")
        handled = detail.get_by_test_id("handled")
        await expect(handled).to_contain_text("Nobody has decided anything yet")
        await detail.get_by_role("button", name="Acknowledge").click()
        await expect(handled).to_contain_text("acknowledged by Ada")
        await detail.get_by_label("How long").select_option("4 h")
        await detail.get_by_role("button", name="Snooze").click()
        await expect(handled).to_contain_text("snoozed by Ada")
        await detail.get_by_label("Assign to").fill("Grace")
        await detail.get_by_role("button", name="Assign").click()
        await expect(handled).to_contain_text("assigned to Grace")
        await detail.get_by_label("What to mute").select_option("Mute Veldara Chemicals")
        await detail.get_by_role("button", name="Mute", exact=True).click()
        await expect(handled).to_contain_text(f"muted: target:{fictional.VELDARA}")
        await detail.get_by_role("button", name="Unmute").click()
        await expect(handled).not_to_contain_text("muted")
        kinds = ["acknowledge", "snooze", "assign", "mute", "unmute"]
        assert [command.kind for command in opened.process.commands] == kinds
        snooze, mute = opened.process.commands[1], opened.process.commands[3]
        assert snooze.until is not None
        assert mute.until is not None
        assert abs(snooze.until - snooze.at - timedelta(hours=4)) < timedelta(minutes=5)
        assert opened.errors == []


async def test_a_comment_and_a_correction_are_one_press_and_show_in_the_timeline(
    browser: Browser, tmp_path: Path
) -> None:
    """Without its text a comment is not sent, and without a level a correction is not."""
    async with open_page(browser, tmp_path) as opened:
        page = await decide(opened)
        detail = page.get_by_test_id("alert-detail")
        await detail.get_by_role("button", name="Comment").click()
        await detail.get_by_role("button", name="Correct").click()
        await expect(detail.get_by_label("The right level of its stories")).to_be_focused()
        assert opened.process.commands == []
        await detail.get_by_label("Comment", exact=True).fill("asked their lawyers")
        await detail.get_by_role("button", name="Comment").click()
        await expect(detail.locator(".timeline")).to_contain_text("asked their lawyers")
        await detail.get_by_label("The right level of its stories").select_option("mild")
        await detail.get_by_role("button", name="Correct").click()
        await expect(detail.locator(".timeline")).to_contain_text("correct by Ada")
        await expect(detail.locator(".timeline")).to_contain_text("mild")
        comment, correction = opened.process.commands
        assert (comment.kind, comment.comment) == ("comment", "asked their lawyers")
        assert (correction.kind, correction.value["level"]) == ("correct", "mild")
        assert correction.value["evidence"], "a correction keeps the stories that it labels"
        assert opened.errors == []


async def test_the_silences_of_alertmanager_are_above_the_alerts(browser: Browser, tmp_path: Path) -> None:
    """Each says what is silent, until when, and who made it so. Without silences there is nothing to see."""
    until = fictional.NOON + timedelta(hours=6)
    many = SilenceRow(
        receiver="am",
        id="s1",
        by="bob",
        comment="<b>maintenance</b>",
        until=until,
        matchers=("alertname=riskwire",),
        names=("Veldara Chemicals", "Osmark", "Pelorum", "Arctessa Air", "Brightholm"),
    )
    bare = many.model_copy(update={"id": "s2", "matchers": ("kind=slide",), "names": (), "comment": "no slides"})
    async with open_page(browser, tmp_path) as opened:
        page = opened.page
        silences = page.get_by_test_id("silences")
        await expect(silences).to_be_hidden()
        opened.process.silences = [many, bare]
        await page.reload()
        rows = silences.get_by_role("listitem")
        await expect(rows).to_have_count(2)
        await expect(rows.first).to_contain_text("Veldara Chemicals, Osmark, Pelorum, Arctessa Air and 1 more")
        await expect(rows.first).to_contain_text("silent in Alertmanager until 2 Mar")
        await expect(rows.first).to_contain_text("by bob: <b>maintenance</b>")
        await expect(rows.last).to_contain_text("kind=slide")
        assert opened.errors == []
        opened.process.silences = NotifyError("does not answer", where="am")
        await page.reload()
        await expect(silences).to_contain_text("the silences of Alertmanager cannot be read: am: does not answer")
        await expect(page.get_by_test_id("alert-row").first).to_be_visible()


async def test_a_false_alarm_has_its_reason_and_leaves_the_open_alerts(browser: Browser, tmp_path: Path) -> None:
    """It is final: acknowledge and snooze cannot be pressed any more."""
    async with open_page(browser, tmp_path) as opened:
        page = await decide(opened)
        detail = page.get_by_test_id("alert-detail")
        await detail.get_by_label("Why it is a false alarm").select_option("about somebody else")
        await detail.get_by_label("Comment", exact=True).fill("the Veldara river")
        await detail.get_by_role("button", name="False alarm").click()
        await expect(detail.get_by_test_id("handled")).to_contain_text("false alarm (wrong party) by Ada")
        await expect(detail.get_by_role("button", name="Acknowledge")).to_be_disabled()
        await expect(detail.locator(".timeline")).to_contain_text("the Veldara river")
        await page.keyboard.press("Escape")
        await page.locator("#alert-filter").get_by_role("button", name="Open").click()
        await expect(page.get_by_test_id("alert-row").filter(has_text="Veldara")).to_have_count(0)
        assert opened.errors == []


@pytest.mark.parametrize("width", [1440, 400])
async def test_the_buttons_are_in_sight_without_scrolling(browser: Browser, tmp_path: Path, width: int) -> None:
    async with open_page(browser, tmp_path, width=width) as opened:
        await opened.page.get_by_test_id("alert-row").first.click()
        form = opened.page.get_by_test_id("actions")
        await expect(form).to_be_visible()
        assert await form.evaluate(IN_SIGHT)


async def test_a_named_token_decides_as_its_owner_and_a_reader_cannot(browser: Browser, tmp_path: Path) -> None:
    ada = TokenSettings(name="ada", roles=("operate",), token=SecretStr("token-of-ada-in-a-test"))
    bob = TokenSettings(name="bob", token=SecretStr("token-of-bob-in-a-test"))
    async with open_page(browser, tmp_path, tokens=(ada, bob)) as opened:
        page = opened.page
        await page.get_by_test_id("alert-row").first.click()
        await expect(page.get_by_label("Your name")).to_be_hidden()
        await page.get_by_test_id("alert-detail").get_by_role("button", name="Acknowledge").click()
        await expect(page.get_by_test_id("handled")).to_contain_text("acknowledged by ada")
        await page.goto(f"{opened.url}/?token=token-of-bob-in-a-test")
        await page.get_by_test_id("alert-row").first.click()
        await expect(page.get_by_test_id("handled")).to_contain_text("acknowledged by ada")
        await expect(page.get_by_test_id("alert-detail").get_by_role("button", name="Acknowledge")).to_have_count(0)


async def test_filters_survive_a_reload(browser: Browser, tmp_path: Path) -> None:
    async with open_page(browser, tmp_path) as opened:
        page = opened.page
        rows = page.get_by_test_id("target-row")
        await page.locator("#alert-filter").get_by_role("button", name="Open").click()
        await page.get_by_label("Find a target").fill("bank")
        await expect(rows).to_have_count(2)
        await page.get_by_role("button", name="Name", exact=True).click()
        await page.reload()
        await expect(rows).to_have_count(2)
        await expect(page.get_by_label("Find a target")).to_have_value("bank")
        await expect(page.locator("th.col-name")).to_have_attribute("aria-sort", "ascending")
        pressed = page.locator("#alert-filter").get_by_role("button", name="Open")
        await expect(pressed).to_have_attribute("aria-pressed", "true")


async def test_alerts_can_be_listed_by_exposure_and_severity(browser: Browser, tmp_path: Path) -> None:
    """The order survives a reload, and a new alert takes its place in it."""
    async with open_page(browser, tmp_path) as opened:
        page = opened.page
        heavy = fictional.alert("heavy", target="entity:pelorum", severity="warning", weight=40.0)
        await write_with_sink(opened.store, {Topic.ALERTS: [heavy]})
        rows = page.get_by_test_id("alert-row")
        await expect(rows).to_have_count(4)
        order = page.locator("#alert-order")
        await order.get_by_role("button", name="Exposure").click()
        await expect(rows.first).to_contain_text("Pelorum")
        await expect(rows.first.get_by_test_id("alert-weight")).to_have_text("weight 40")
        await page.reload()
        await expect(order.get_by_role("button", name="Exposure")).to_have_attribute("aria-pressed", "true")
        await expect(rows.first).to_contain_text("Pelorum")
        heavier = fictional.alert("heavier", target="entity:osmark", weight=90.0, at=fictional.NOON - timedelta(days=1))
        await write_with_sink(opened.store, {Topic.ALERTS: [heavier]})
        await expect(rows.first).to_contain_text("Osmark")
        await order.get_by_role("button", name="Newest").click()
        await expect(rows.nth(3)).to_contain_text("Osmark")  # of five; an older one is resolved
        assert opened.errors == []


async def test_a_resolved_alert_says_in_the_list_what_it_was_about(browser: Browser, tmp_path: Path) -> None:
    """Its evidence says when it was published and seen, and by whom."""
    async with open_page(browser, tmp_path) as opened:
        page = opened.page
        at = fictional.NOON + timedelta(hours=3)
        story = fictional.evidence(0, title="Pelorum recalls pumps", publisher="Herald").model_copy(
            update={"published_at": fictional.NOON, "seen_at": at}
        )
        ended = fictional.alert(
            "ended",
            target="entity:pelorum",
            at=at,
            status="resolved",
            kind="event",
            events=("recall",),
            evidence=(story,),
        )
        await write_with_sink(opened.store, {Topic.ALERTS: [ended]})
        row = page.get_by_test_id("alert-row").filter(has_text="Pelorum")
        await expect(row.get_by_test_id("alert-reason")).to_have_text(f"recall: {story.title} (Herald)")
        await row.click()
        meta = page.get_by_test_id("evidence").first.locator(".meta")
        for text in ("Herald", "published 2 Mar", "seen 2 Mar"):
            await expect(meta).to_contain_text(text)
        await expect(page.get_by_test_id("alert-detail").get_by_role("button", name="Acknowledge")).to_be_disabled()
        assert opened.errors == []


async def test_names_do_not_break_within_words_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    """No word of a name is on two lines, and the page is no wider than the window."""
    async with open_page(browser, tmp_path, width=390) as opened:
        page = opened.page
        await expect(page.get_by_test_id("target-row")).to_have_count(len(fictional.NAMES))
        assert await page.evaluate(BROKEN_WORDS) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


BROKEN_WORDS = """() => [...document.querySelectorAll(".name, .alert-head strong")].flatMap((name) => {
  const text = name.firstChild;
  return [...text.textContent.matchAll(/\\S+/g)].filter((word) => {
    const range = document.createRange();
    range.setStart(text, word.index);
    range.setEnd(text, word.index + word[0].length);
    return new Set([...range.getClientRects()].map((place) => Math.round(place.top))).size > 1;
  }).map((word) => word[0]);
})"""
