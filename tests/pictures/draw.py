"""Draws the pictures of the page and of two dashboards, from a replay of the demo's crisis: `make pictures`.

Starts PostgreSQL, a server of the page and Chromium, and stops them at the end.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "services" / "page.png"
DRAW_DASHBOARDS = ROOT / "deploy" / "grafana" / "draw.py"

PAGE_UNTIL = "2031-04-02"
"""The end of the news of the page: the day before, the alert of the crisis became a page."""
DASHBOARDS_SINCE, DASHBOARDS_UNTIL = "2031-03-24", "2031-04-07"
"""The fortnight of the dashboards: a calm week, and that of the crisis."""


def main() -> int:
    """Draws all pictures. Returns the exit code: 2 if a program is missing."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from page_browser.open_page import missing_chromium
    from stores.postgresql import PostgresServer, missing_postgresql

    from riskwire.demo import CRISIS, corpus_path

    missing = missing_postgresql() or missing_chromium()
    if missing is not None:
        print(f"make pictures: {missing}", file=sys.stderr)
        return 2
    stories = [json.loads(line) for line in corpus_path().read_text(encoding="utf-8").splitlines()]
    with PostgresServer.running() as server, tempfile.TemporaryDirectory(prefix="riskwire-pictures-") as folder:
        store = server.new_database()
        replay(Path(folder), store, sum(story["published_at"] < PAGE_UNTIL for story in stories))
        asyncio.run(draw_page(Path(folder), store))
        replay(Path(folder), store, len(stories))
        period = ("--since", DASHBOARDS_SINCE, "--until", DASHBOARDS_UNTIL)
        subprocess.run([sys.executable, DRAW_DASHBOARDS, store, *period, "--target", CRISIS], check=True)
    return 0


def replay(data: Path, store: str, stories: int) -> None:
    """Replays the first stories of the demo; continues an earlier replay into the same data directory."""
    from cli import RISKWIRE, environment

    from riskwire.demo import corpus_path, watchlist_path

    options = ("--watchlist", watchlist_path(), "--data", data, "--limit", str(stories))
    env = environment(RISKWIRE_STORE__URL=store, RISKWIRE_LOG__LEVEL="error")
    subprocess.run([RISKWIRE, "replay", corpus_path(), *options], env=env, check=True)


async def draw_page(data: Path, store_url: str) -> None:
    """Writes the picture of the page, with the alert of the crisis open."""
    from page_browser.open_page import empty_page, running_chromium
    from playwright.async_api import expect
    from serving import FakeProcess, running_server

    from riskwire.demo import CRISIS
    from riskwire.settings import Settings, StoreSettings, WebSettings
    from riskwire.store import Store

    settings = Settings(data=data, store=StoreSettings(url=store_url), web=WebSettings(port=0))
    with Store.open(settings) as store:
        alert = next(alert for alert in store.alerts(target=CRISIS) if alert.tier == "page")
        async with (
            running_server(settings, store, FakeProcess(store).services()) as url,
            running_chromium() as browser,
            empty_page(browser) as page,
        ):
            await page.goto(url)
            await expect(page.get_by_test_id("status")).to_contain_text("live")
            await expect(page.get_by_test_id("market-chart").locator("canvas")).to_be_visible()
            await page.locator(f"#alert-{alert.id}").click()
            detail = page.get_by_test_id("alert-detail")
            await expect(detail.get_by_test_id("alert-events")).to_be_visible()
            await expect(detail.get_by_test_id("evidence").first).to_be_visible()
            await page.screenshot(path=PAGE, animations="disabled")


if __name__ == "__main__":
    sys.exit(main())
