"""What people and machines are told."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta

from riskwire.notify.text import MOST_STORIES, idempotency_key, plain, signature, text_of
from riskwire.records import Alert

Make = Callable[..., Alert]


def test_the_text_names_severity_company_summary_stories_and_what_would_not_have_fired(alert: Make) -> None:
    text = text_of(alert())
    assert text.title == "HIGH: Norrland Motors (alert)"
    assert "4 negative stories in 6 h where 0.2 are usual" in text.body
    assert "- Brake recall widens (wire, 2026-11-24 09:00) https://wire.example/1" in text.body
    assert "Would not have fired: with 2 negative stories or fewer" in text.body


def test_a_text_stays_short_however_many_stories_there_are(alert: Make) -> None:
    text = text_of(alert(evidence=alert().evidence * 40))
    assert text.body.count("Brake recall widens") == MOST_STORIES
    assert f"and {40 - MOST_STORIES} more" in text.body


def test_a_hostile_title_cannot_call_everyone_break_lines_or_link_elsewhere(alert: Make) -> None:
    evidence = (
        alert()
        .evidence[0]
        .model_copy(update={"title": "x @everyone <!channel>\nBody: \x1b[31m", "url": "javascript:alert(1)"})
    )
    body = text_of(alert(evidence=(evidence,))).body
    assert "@everyone" not in body
    assert "<!channel" not in body
    assert "\x1b" not in body
    assert "\nBody" not in body
    assert "javascript" not in body


def test_a_line_has_a_limit() -> None:
    assert len(plain("long " * 1_000)) == 300


def test_the_idempotency_key_is_stable_and_tells_changes_of_an_episode_apart(alert: Make) -> None:
    key = idempotency_key(alert())
    assert key == idempotency_key(Alert.model_validate_json(alert().to_bytes()))
    others = {
        idempotency_key(alert(status="escalated")),
        idempotency_key(alert(at=alert().at + timedelta(hours=1))),
        idempotency_key(alert(id="beef")),
    }
    assert key not in others
    assert len(others) == 3


def test_the_signature_is_the_hmac_of_timestamp_dot_body() -> None:
    expected = hmac.new(b"key", b"1790000000.{}", hashlib.sha256).hexdigest()
    assert signature("key", "1790000000", b"{}") == f"sha256={expected}"
