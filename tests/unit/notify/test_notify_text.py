"""The text, idempotency key and signature of a notification."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta

from riskwire.notify.text import (
    MAX_STORIES,
    grouped_text,
    idempotency_key,
    notification_text,
    sanitised_line,
    signature,
)
from riskwire.records import Alert

MakeAlert = Callable[..., Alert]


def test_the_text_contains_severity_name_summary_stories_and_what_would_not_have_fired(alert: MakeAlert) -> None:
    text = notification_text(alert())
    assert text.title == "HIGH: Norrland Motors (alert)"
    assert "4 negative stories in 6 h where 0.2 are usual" in text.body
    assert "- Brake recall widens (wire, 2026-11-24 09:00 UTC) https://wire.example/1" in text.body
    assert "Would not have fired: with 2 negative stories or fewer" in text.body


def test_the_text_names_the_publisher_of_a_story_and_the_feed_that_delivered_it(alert: MakeAlert) -> None:
    evidence = alert().evidence[0].model_copy(update={"publisher": "The Paper"})
    body = notification_text(alert(evidence=(evidence,))).body
    assert "- Brake recall widens (The Paper via wire, 2026-11-24 09:00 UTC)" in body


def test_the_text_lists_a_limited_number_of_stories(alert: MakeAlert) -> None:
    text = notification_text(alert(evidence=alert().evidence * 40))
    assert text.body.count("Brake recall widens") == MAX_STORIES
    assert f"and {40 - MAX_STORIES} more" in text.body


def test_a_hostile_title_cannot_mention_everyone_break_lines_or_add_links(alert: MakeAlert) -> None:
    evidence = (
        alert()
        .evidence[0]
        .model_copy(update={"title": "x @everyone <!channel>\nBody: \x1b[31m", "url": "javascript:alert(1)"})
    )
    body = notification_text(alert(evidence=(evidence,))).body
    assert "@everyone" not in body
    assert "<!channel" not in body
    assert "\x1b" not in body
    assert "\nBody" not in body
    assert "javascript" not in body


def test_a_line_is_cut_at_300_characters() -> None:
    assert len(sanitised_line("long " * 1_000)) == 300


def test_the_idempotency_key_is_stable_and_differs_between_records_of_an_episode(alert: MakeAlert) -> None:
    key = idempotency_key(alert())
    assert key == idempotency_key(Alert.model_validate_json(alert().to_bytes()))
    keys_of_other_records = {
        idempotency_key(alert(status="escalated")),
        idempotency_key(alert(at=alert().at + timedelta(hours=1))),
        idempotency_key(alert(id="beef")),
    }
    assert key not in keys_of_other_records
    assert len(keys_of_other_records) == 3


def test_the_signature_is_the_hmac_of_timestamp_dot_body() -> None:
    expected = hmac.new(b"key", b"1790000000.{}", hashlib.sha256).hexdigest()
    assert signature("key", "1790000000", b"{}") == f"sha256={expected}"


def test_the_title_of_an_event_says_what_happened(alert: MakeAlert) -> None:
    """Event types are in words, the newest first, and at most three."""
    events = ("results_bad", "profit_warning", "layoffs", "other")
    title = notification_text(alert(kind="event", events=events)).title
    assert title == "HIGH: Norrland Motors: bad results, profit warning, lay-offs (alert)"


def test_a_resolved_notice_says_what_the_alert_was_about_and_since_when(alert: MakeAlert) -> None:
    later = alert().at + timedelta(days=3)
    summary = "Norrland Motors: no surprise for 3 days. It was: 4 negative stories in 6 h where 0.2 are usual"
    text = notification_text(alert(status="resolved", at=later, summary=summary, events=("recall",)))
    assert text.title == "HIGH: Norrland Motors: recall or defect (resolved)"
    assert "It was: 4 negative stories" in text.body
    assert "Brake recall widens" in text.body
    assert "2026-11-27 09:00 UTC · since 2026-11-24 09:00 UTC" in text.body
    assert "Would not have fired" not in text.body


def test_alerts_of_one_story_are_ranked_and_the_story_is_told_once(alert: MakeAlert) -> None:
    names = ("Small", "Big", "C", "D", "E")
    tiers = {"Big": "page"}
    alerts = [alert(id=name, target=f"entity:{name}", name=name, tier=tiers.get(name, "notice")) for name in names]
    text = grouped_text(alerts)
    assert text.title == "HIGH: Big, Small, C, D and 1 more (5 alerts from one story)"
    assert text.body.count("Brake recall widens") == 1
    assert text.body.index("entity:Big") < text.body.index("entity:Small")
