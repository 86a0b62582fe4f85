"""`riskwire run` on real feed documents over local HTTP, and `riskwire demo` in a browser."""

from __future__ import annotations

import functools
import http.server
import io
import re
import shutil
import signal
import sqlite3
import ssl
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
from cli import environment, json_lines, start_riskwire
from page_browser.open_page import ARGS
from playwright.sync_api import Page, expect, sync_playwright
from tls_broker import make_certificates

TIMEOUT_S = 120
MIN_ARTICLES = 2_000
"""Fewer than the saved feed documents have."""


expect.set_options(timeout=TIMEOUT_S * 1_000)


@pytest.fixture
def documents(shared_data: Path) -> Iterator[tuple[str, list[Path]]]:
    """The URL that serves the saved feed documents, and their files."""
    folder = shared_data / "feeds"
    handler = functools.partial(_SilentHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", sorted(folder.glob("*.xml"))
        server.shutdown()


class _SilentHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Logs nothing."""


def url_of(process: subprocess.Popen[str]) -> str:
    """Returns the URL that a command prints when it serves; fails if the command exits without one.

    A thread reads what it prints later, so that it does not block.
    """
    assert process.stderr is not None
    for line in process.stderr:
        if match := re.search(r"http://127\.0\.0\.1:\d+", line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return match[0]
    raise AssertionError("it exited without a line with its address")


def terminate(process: subprocess.Popen[str]) -> int:
    """Stops a process as an orchestrator does, and returns its exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=TIMEOUT_S)


@pytest.mark.needs_data
@pytest.mark.slow
def test_every_saved_feed_document_is_stored_and_only_english_is_analysed(
    documents: tuple[str, list[Path]], tmp_path: Path, tiny_bundle: Path
) -> None:
    """Every feed with items must have a stored article. An article in a language other than English is unsupported."""
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
    process = start_riskwire("run", "--feeds", feeds, "--data", data, "--port", "0", env=env)
    try:
        url_of(process)
        rows = _wait_until_stored(data, {name for name, count in entries.items() if count}, MIN_ARTICLES)
    finally:
        assert terminate(process) == 0
    statuses = {(language, status) for _, language, status in rows}
    assert ("en", "ok") in statuses
    assert {status for language, status in statuses if language not in ("en", None)} == {"unsupported"}
    assert {status for language, status in statuses if language == "en"} <= {"ok", "empty"}
    assert {language for language, _ in statuses} >= {"de", "fr", "es", "ru"}
    targets = {row["target"] for row in json_lines("targets", "--data", data)}
    assert "market" in targets


def _wait_until_stored(data: Path, sources: set[str], min_articles: int) -> list[tuple[str, str | None, str]]:
    """Waits until enough articles are stored, of every source and with little lag.

    Returns:
        source, language and status of every article.
    """
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        lag = json_lines("status", "--data", data)[0]["lag"]
        with closing(sqlite3.connect(f"file:{data / 'store.sqlite'}?mode=ro", uri=True)) as store:
            rows = store.execute("select source, language, status from articles").fetchall()
        if len(rows) >= min_articles and {source for source, _, _ in rows} >= sources and sum(lag.values()) < 50:
            return rows
    missing = sources - {source for source, _, _ in rows}
    raise AssertionError(f"{len(rows)} of {min_articles} articles; sources without articles: {missing}; lag: {lag}")


def test_run_serves_health_readiness_and_metrics(tmp_path: Path) -> None:
    """The only feed cannot be reached, which does not make the monitor unready."""
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text("- {id: nobody, url: 'http://127.0.0.1:9/', every_s: 3600}\n")
    process = start_riskwire("run", "--feeds", feeds, "--data", tmp_path / "data", "--port", "0")
    try:
        url = url_of(process)
        with urllib.request.urlopen(url + "/healthz", timeout=TIMEOUT_S) as response:
            assert response.status == 200
        with urllib.request.urlopen(url + "/metrics", timeout=TIMEOUT_S) as response:
            assert b"riskwire_stage_progress_timestamp_seconds" in response.read()
        assert _becomes_ready(url)
    finally:
        assert terminate(process) == 0


def test_run_speaks_tls_with_a_token_and_answers_probes_on_a_port_of_their_own(tmp_path: Path) -> None:
    """A kubelet and Prometheus come to the port of probes without TLS, token and a known Host header."""
    make_certificates(tmp_path / "tls")
    (tmp_path / "feeds.yaml").write_text("- {id: nobody, url: 'http://127.0.0.1:9/', every_s: 3600}\n")
    process = start_riskwire(
        *("run", "--feeds", tmp_path / "feeds.yaml", "--data", tmp_path / "data", "--port", "0"),
        env=environment(
            RISKWIRE_WEB__TOKEN="a-token-of-this-test",
            RISKWIRE_WEB__CERT_FILE=str(tmp_path / "tls/broker.pem"),
            RISKWIRE_WEB__KEY_FILE=str(tmp_path / "tls/broker.key"),
            RISKWIRE_WEB__PROBE_PORT="0",
        ),
    )
    try:
        assert process.stderr is not None
        pattern = r"(https://127\.0\.0\.1:\d+) .*probes and metrics are at (http://127\.0\.0\.1:\d+)"
        page, probes = next(match.groups() for line in process.stderr if (match := re.search(pattern, line)))
        threading.Thread(target=process.stderr.read, daemon=True).start()
        for path in ("/healthz", "/metrics"):
            request = urllib.request.Request(probes + path, headers={"Host": "10.0.0.7"})
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                assert response.status == 200
        context = ssl.create_default_context(cafile=str(tmp_path / "tls/ca.pem"))
        request = urllib.request.Request(page + "/api/v1/status")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context)
        request.add_header("Authorization", "Bearer a-token-of-this-test")
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context) as response:
            assert response.status == 200
    finally:
        assert terminate(process) == 0


def _becomes_ready(url: str) -> bool:
    """Returns whether `/readyz` answers 200 within `TIMEOUT_S`; until then it must answer 503."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url + "/readyz", timeout=TIMEOUT_S) as response:
                return bool(response.status == 200)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
        time.sleep(0.1)
    return False


@pytest.fixture
def page() -> Iterator[Page]:
    """A page in Debian's Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: apt-get update && apt-get install -y chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=ARGS)
        page = browser.new_page()
        page.set_default_timeout(TIMEOUT_S * 1_000)
        yield page
        browser.close()


@pytest.mark.needs_browser
def test_the_demo_shows_its_alert_with_evidence_until_it_resolves(tmp_path: Path, page: Page) -> None:
    """The demo replays a crisis of Norvane Motors, here at 200,000 times the real speed.

    The alert's detail has three or more stories as evidence, which mark the name, and its course.
    """
    process = start_riskwire("demo", "--speed", "200000", "--port", "0", "--data", tmp_path)
    try:
        page.goto(url_of(process))
        row = page.get_by_test_id("alert-row").filter(has=page.locator("strong", has_text="Norvane Motors"))
        row = row.filter(has_text="page")
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
        assert terminate(process) == 0
