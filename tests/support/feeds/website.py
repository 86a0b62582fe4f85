"""A local website with feeds, for tests of the fetcher and of the ingest stage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from riskwire.settings import IngestSettings

PageHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_RSS = '<?xml version="1.0"?><rss version="2.0"><channel><title>x</title>{}</channel></rss>'
_ITEM = (
    "<item><title>Globex loses plant number {number}</title><link>https://news.example/{number}</link>"
    "<guid>{guid}</guid></item>"
)


class Website:
    """Pages by path, and the requests so far. A page is the bytes of an RSS document, or a handler."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes | PageHandler] = {}
        self.requests: list[web.Request] = []
        self.port = 0

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{path}"

    def requests_of(self, path: str) -> int:
        """Returns how often a page was requested."""
        return sum(request.path == f"/{path}" for request in self.requests)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Records a request and answers it with the page of its path: a document, or what the handler returns.

        Raises:
            HTTPNotFound: there is no such page.
        """
        self.requests.append(request)
        page = self.pages.get(request.path.lstrip("/"))
        if page is None:
            raise web.HTTPNotFound
        if isinstance(page, bytes):
            return web.Response(body=page, content_type="application/rss+xml")
        return await page(request)


def rss(*numbers: int, guid_prefix: str = "guid-") -> bytes:
    """Returns an RSS document with the given items."""
    items = (_ITEM.format(number=number, guid=f"{guid_prefix}{number}") for number in numbers)
    return _RSS.format("".join(items)).encode()


def local_ingest_settings(**changes: object) -> IngestSettings:
    """Returns settings that permit the website."""
    return IngestSettings(**({"allow_private_hosts": ("127.0.0.1",), "timeout_s": 10.0, "tick_s": 0.2} | changes))
