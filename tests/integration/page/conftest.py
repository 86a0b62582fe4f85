"""A Chromium without a window."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from page_browser.open_page import missing_chromium, running_chromium
from playwright.async_api import Browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Yields a Chromium without a window, for all tests of this file; skips them if none is installed."""
    missing = missing_chromium()
    if missing is not None:
        pytest.skip(missing)
    async with running_chromium() as browser:
        yield browser
