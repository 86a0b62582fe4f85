"""A Chromium without a window."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from page_browser.open_page import ARGS, CHROMIUM
from playwright.async_api import Browser, async_playwright


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Yields a Chromium without a window, for all tests of this file; skips them if none is installed."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get update && apt-get install -y chromium")
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        await browser.close()
