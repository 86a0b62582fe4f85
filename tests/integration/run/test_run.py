"""`riskwire run` as a user starts it, on real feed documents over local HTTP; `riskwire demo` as a newcomer sees it."""

from __future__ import annotations

import functools
import http.server
import io
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import feedparser
import pytest
import yaml
from cli import environment, lines, started
from playwright.sync_api import Page, expect, sync_playwright

PATIENCE_S = 120
LEAST = 2_000
"""Articles in the saved feed documents."""
CHROMIUM_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


expect.set_options(timeout=PATIENCE_S * 1_000)


@pytest.fixture
def documents(shared_data: Path) -> Iterator[tuple[str, list[Path]]]:
    """The saved feed documents, served as files are."""
    folder = shared_data / "feeds"
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", sorted(folder.glob("*.xml"))
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


def address_of(process: subprocess.Popen[str]) -> str:
    """The address a serving command says it is at."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return found[0]
    raise AssertionError("it ended without saying where it serves")


def stopped(process: subprocess.Popen[str]) -> int:
    """Stop as an orchestrator does; the exit status."""
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=PATIENCE_S)


@pytest.mark.needs_data
@pytest.mark.slow
def test_every_saved_feed_document_becomes_articles_and_only_its_language_is_read(
    documents: tuple[str, list[Path]], tmp_path: Path, tiny_bundle: Path
) -> None:
    url, files = documents
    entries = {file.stem: len(feedparser.parse(io.BytesIO(file.read_bytes())).entries) for file in files}
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text(yaml.safe_dump([{"id": file.stem, "url": f"{url}/{file.name}"} for file in files]))
    env = environment(
        RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS='["127.0.0.1"]',
        RISKWIRE_INGEST__PER_HOST="8",
        RISKWIRE_INFERENCE__BUNDLE=str(tiny_bundle),
    )
    data = tmp_path / "data"
    process = started("run", "--feeds", feeds, "--data", data, "--port", "0", env=env)
    try:
        address_of(process)
        rows = _when_read(data, {name for name, count in entries.items() if count}, LEAST)
    finally:
        assert stopped(process) == 0
    statuses = {(language, status) for _, language, status in rows}
    assert ("en", "ok") in statuses
    assert {status for language, status in statuses if language != "en"} == {"unsupported"}
    assert {status for language, status in statuses if language == "en"} <= {"ok", "empty"}
    assert {language for language, _ in statuses} >= {"de", "fr", "es", "ru"}
    targets = {row["target"] for row in lines("targets", "--data", data)}
    assert "market" in targets


def _when_read(data: Path, sources: set[str], least: int) -> list[tuple[str, str | None, str]]:
    """Source, language and status of so many articles at least, once each source has some and no stage is behind."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        lag = lines("status", "--data", data)[0]["lag"]
        with closing(sqlite3.connect(f"file:{data / 'store.sqlite'}?mode=ro", uri=True)) as store:
            rows = store.execute("select source, language, status from articles").fetchall()
        if len(rows) >= least and {source for source, _, _ in rows} >= sources and sum(lag.values()) < 50:
            return rows
    silent = sources - {source for source, _, _ in rows}
    raise AssertionError(f"{len(rows)} of {least} articles; never heard of {silent}; behind: {lag}")


def test_health_readiness_and_metrics_answer_while_it_runs(tmp_path: Path) -> None:
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text("- {id: nobody, url: 'http://127.0.0.1:9/', every_s: 3600}\n")
    process = started("run", "--feeds", feeds, "--data", tmp_path / "data", "--port", "0")
    try:
        url = address_of(process)
        with urllib.request.urlopen(url + "/healthz", timeout=PATIENCE_S) as answer:
            assert answer.status == 200
        with urllib.request.urlopen(url + "/metrics", timeout=PATIENCE_S) as answer:
            assert b"riskwire_stage_progress_timestamp_seconds" in answer.read()
        assert _ready(url)
    finally:
        assert stopped(process) == 0


def _ready(url: str) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url + "/readyz", timeout=PATIENCE_S) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
        time.sleep(0.1)  # between two looks
    return False


@pytest.fixture
def page() -> Iterator[Page]:
    """A page in Debian's Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not there: apt-get update && apt-get install -y chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_S * 1_000)
        yield page
        browser.close()


@pytest.mark.needs_browser
def test_a_newcomer_sees_the_demos_alert_fire_and_resolve_and_why(tmp_path: Path, page: Page) -> None:
    process = started("demo", "--speed", "200000", "--port", "0", "--data", tmp_path)
    try:
        page.goto(address_of(process))
        row = page.get_by_test_id("alert-row").filter(has_text="Norvane Motors")
        row.first.wait_for()
        row.filter(has_text="resolved").first.wait_for()
        row.first.click()
        detail = page.get_by_test_id("alert-detail")
        expect(detail.get_by_test_id("evidence").nth(2)).to_be_visible()
        expect(detail.get_by_test_id("evidence").locator("mark").filter(has_text="Norvane").first).to_be_visible()
        expect(detail).to_contain_text("would not have fired")
        for status in ("Fired", "Escalated", "Resolved"):
            expect(detail.locator(".timeline-head strong").filter(has_text=status).first).to_be_visible()
    finally:
        assert stopped(process) == 0
