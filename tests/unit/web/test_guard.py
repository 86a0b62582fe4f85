"""The guard: Host header, token, origin, security headers; and the addresses that the server listens on."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from riskwire.errors import InUseError, SettingsError
from riskwire.settings import Settings, WebSettings
from riskwire.store import Store
from riskwire.web import bind, create_app, serve

TOKEN = "open sésame, please"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "[::1"])
async def test_a_foreign_host_name_is_refused(client: aiohttp.ClientSession, host: str) -> None:
    async with client.get("/healthz", headers={"Host": host}) as response:
        assert response.status in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1:1", "[::1]:8080"])
async def test_a_host_name_of_the_server_is_accepted_with_any_port(client: aiohttp.ClientSession, host: str) -> None:
    async with client.get("/healthz", headers={"Host": host}) as response:
        assert response.status == 200


async def test_every_response_has_the_security_headers(client: aiohttp.ClientSession) -> None:
    for path in ("/", "/static/app.js", "/api/v1/alerts", "/api/v1/alerts/unknown", "/nothing"):
        async with client.get(path) as response:
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_everything_but_health_needs_the_token(serving: Any) -> None:
    async with serving(token=SecretStr(TOKEN)) as client:
        for path in ("/", "/static/app.js", "/api/v1/alerts", "/api/v1/stream", "/metrics", "/readyz"):
            async with client.get(path) as response:
                assert response.status == 401, path
                assert response.headers["WWW-Authenticate"].startswith("Bearer")
        for headers in ({"Authorization": "Bearer wrong"}, {"Authorization": "Basic b3Blbg=="}):
            async with client.get("/api/v1/alerts", headers=headers) as response:
                assert response.status == 401
        async with client.get("/healthz") as response:
            assert response.status == 200


async def test_the_api_accepts_a_bearer_token(serving: Any) -> None:
    token = "s3cret-of-a-test-0"
    async with (
        serving(token=SecretStr(token), headers={"Authorization": f"Bearer {token}"}) as client,
        client.get("/api/v1/alerts") as response,
    ):
        assert response.status == 200


async def test_the_page_accepts_the_token_once_and_then_a_cookie_without_it(serving: Any) -> None:
    """The token is a parameter of the address. The cookie then opens the API and does not contain the token."""
    async with serving(token=SecretStr(TOKEN)) as client:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(client._base_url, cookie_jar=jar) as browser:
            async with browser.get("/", params={"token": "wrong"}) as response:
                assert response.status == 401
                assert "Set-Cookie" not in response.headers
            async with browser.get("/", params={"token": TOKEN}) as response:
                assert response.status == 200
                cookie = response.headers["Set-Cookie"]
                assert "HttpOnly" in cookie
                assert "SameSite=Strict" in cookie
                assert TOKEN not in cookie
            async with browser.get("/api/v1/alerts") as response:
                assert response.status == 200


async def test_a_post_from_another_site_is_refused(client: aiohttp.ClientSession) -> None:
    """The header `Origin` names the site of the page that sends the request."""
    async with client.post("/api/v1/analyse", json=[], headers={"Origin": "http://evil.example"}) as response:
        assert response.status == 403
    own_origin = str(client._base_url).rstrip("/")
    async with client.post("/api/v1/analyse", json=[], headers={"Origin": own_origin}) as response:
        assert response.status == 200


async def test_a_post_of_a_form_is_refused(client: aiohttp.ClientSession) -> None:
    """Any site can send `text/plain` without a preflight request, so the API accepts JSON only."""
    async with client.post(
        "/api/v1/analyse", data='[{"id":1,"text":"x"}]', headers={"Content-Type": "text/plain"}
    ) as response:
        assert response.status == 422


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_listening_beyond_loopback_needs_a_token(host: str) -> None:
    with pytest.raises(SettingsError, match=r"web\.host.*needs a token.*token_file"):
        bind(WebSettings(host=host, port=0))


def test_listening_beyond_loopback_with_a_token_is_allowed() -> None:
    bind(WebSettings(host="0.0.0.0", port=0, token=SecretStr(TOKEN))).close()


def test_an_invalid_address_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"web\.host: no such address.*999"):
        bind(WebSettings(host="999.999.999.999", port=0))


async def test_a_port_in_use_is_refused_with_advice(store: Store, process: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings = Settings(web=WebSettings(port=port))
        with pytest.raises(InUseError, match=rf"port {port} is in use.*--port"):
            await serve(create_app(settings, store, process.services()), settings)


async def test_port_0_chooses_a_free_port(serving: Any) -> None:
    async with serving(port=0) as client:
        assert client._base_url.port not in (0, None)


async def test_a_stopped_server_leaves_no_task(serving: Any) -> None:
    """The tasks of the server have names that begin with `web-`."""
    before = asyncio.all_tasks()
    async with serving() as client, client.get("/healthz"):
        pass
    remaining = {task.get_name() for task in asyncio.all_tasks() - before}
    assert not {name for name in remaining if name.startswith("web-")}
