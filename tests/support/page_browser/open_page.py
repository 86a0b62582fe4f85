"""The page in a real browser: a Chromium without a window, and the page served for a store with fictional news."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import fictional
from playwright.async_api import Browser, Page, async_playwright, expect
from pydantic import SecretStr
from serving import FakeProcess, running_server, write_with_sink

from riskwire.settings import Settings, TokenSettings, WebSettings
from riskwire.store import Store

CHROMIUM = shutil.which("chromium")
TIMEOUT_MS = 60_000
ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

expect.set_options(timeout=TIMEOUT_MS)


def missing_chromium() -> str | None:
    """Returns why no browser can be started here, or None if one can."""
    if CHROMIUM is None:
        return "chromium is not installed (Debian: apt install chromium)"
    return None


@asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    """Yields a Chromium without a window, and closes it."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def empty_page(browser: Browser, *, width: int = 1440, scheme: str = "light") -> AsyncIterator[Page]:
    """Yields an empty page in a new window, whose time zone is UTC.

    Args:
        width: the width of the window, in pixels.
        scheme: the colours that the browser prefers, `light` or `dark`.
    """
    context = await browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        locale="en-GB",
        timezone_id="UTC",
    )
    context.set_default_timeout(TIMEOUT_MS)
    try:
        yield await context.new_page()
    finally:
        await context.close()


@dataclass
class OpenPage:
    """An open page, its store and process, and the errors in its console."""

    page: Page
    store: Store
    process: FakeProcess
    url: str
    errors: list[str] = field(default_factory=list)


@asynccontextmanager
async def open_page(
    browser: Browser,
    data: Path,
    *,
    days: int = 3,
    width: int = 1440,
    scheme: str = "light",
    token: str | None = None,
    tokens: tuple[TokenSettings, ...] = (),
    time_zone: str | None = None,
) -> AsyncIterator[OpenPage]:
    """Serves a store with fictional news, and opens the page; waits until it shows that it is live.

    Args:
        days: the length of the news.
        width: the width of the window, in pixels.
        scheme: the colours that the browser prefers, `light` or `dark`.
        token: the token of the server, which is part of the first address; None for no token.
        tokens: named tokens; without `token`, the first address has the first named token.
        time_zone: the setting of this name; the zone of the browser is UTC.
    """
    with Store.open(Settings(data=data)) as store:
        await write_with_sink(store, fictional.records_by_topic(days=days))
        process = FakeProcess(store)
        web = WebSettings(port=0, token=SecretStr(token) if token else None, tokens=tokens)
        if token is None and tokens and tokens[0].token is not None:
            token = tokens[0].token.get_secret_value()
        settings = Settings(web=web, time_zone=time_zone)
        async with (
            running_server(settings, store, process.services()) as url,
            empty_page(browser, width=width, scheme=scheme) as page,
        ):
            opened = OpenPage(page, store, process, url)
            page.on("console", lambda message: opened.errors.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: opened.errors.append(str(error)))
            await page.goto(f"{url}/?token={token}" if token else url)
            await expect(page.get_by_test_id("status")).to_contain_text("live")
            yield opened
