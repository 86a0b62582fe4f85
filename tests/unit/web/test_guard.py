"""Closed to whom it should be: Host, token, origin, headers, addresses."""

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

TOKEN = "open sésame"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "[::1"])
async def test_a_host_that_is_not_ours_is_not_answered(client: aiohttp.ClientSession, host: str) -> None:
    async with client.get("/healthz", headers={"Host": host}) as response:
        assert response.status in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1:1", "[::1]:8080"])
async def test_our_hosts_are_answered_on_any_port(client: aiohttp.ClientSession, host: str) -> None:
    async with client.get("/healthz", headers={"Host": host}) as response:
        assert response.status == 200


async def test_every_answer_carries_the_security_headers(client: aiohttp.ClientSession) -> None:
    for path in ("/", "/static/app.js", "/api/v1/alerts", "/api/v1/alerts/nobody", "/nothing"):
        async with client.get(path) as response:
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_with_a_token_everything_but_health_asks_for_it(serving: Any) -> None:
    async with serving(token=SecretStr(TOKEN)) as client:
        for path in ("/", "/static/app.js", "/api/v1/alerts", "/api/v1/stream", "/metrics", "/readyz"):
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic b3Blbg=="}):
                async with client.get(path, headers=headers) as response:
                    assert response.status == 401, path
                    assert response.headers["WWW-Authenticate"].startswith("Bearer")
        async with client.get("/healthz") as response:
            assert response.status == 200


async def test_a_bearer_token_opens_the_api(serving: Any) -> None:
    plain = "s3cret"
    async with (
        serving(token=SecretStr(plain), headers={"Authorization": f"Bearer {plain}"}) as client,
        client.get("/api/v1/alerts") as response,
    ):
        assert response.status == 200


async def test_the_page_takes_the_token_once_and_then_a_cookie_that_does_not_hold_it(serving: Any) -> None:
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
    async with client.post("/api/v1/analyse", json=[], headers={"Origin": "http://evil.example"}) as response:
        assert response.status == 403
    own = str(client._base_url).rstrip("/")
    async with client.post("/api/v1/analyse", json=[], headers={"Origin": own}) as response:
        assert response.status == 200


async def test_a_form_cannot_post(client: aiohttp.ClientSession) -> None:
    async with client.post(
        "/api/v1/analyse", data='[{"id":1,"text":"x"}]', headers={"Content-Type": "text/plain"}
    ) as got:
        assert got.status == 422


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_listening_beyond_loopback_without_a_token_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match=r"web\.host.*needs a token.*token_file"):
        bind(WebSettings(host=host, port=0))


def test_listening_beyond_loopback_with_a_token_is_allowed() -> None:
    bind(WebSettings(host="0.0.0.0", port=0, token=SecretStr(TOKEN))).close()


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(SettingsError, match=r"web\.host: no such address.*999"):
        bind(WebSettings(host="999.999.999.999", port=0))


async def test_a_port_in_use_is_told_with_what_to_do(store: Store, process: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = Settings(web=WebSettings(port=port))
        with pytest.raises(InUseError, match=rf"port {port} is in use.*--port"):
            await serve(create_app(settings, store, process.services()), settings)


async def test_a_free_port_is_found_and_told(serving: Any) -> None:
    async with serving(port=0) as client:
        assert client._base_url.port not in (0, None)


async def test_no_task_is_left_behind(serving: Any) -> None:
    before = asyncio.all_tasks()
    async with serving() as client, client.get("/healthz"):
        pass
    left = {task.get_name() for task in asyncio.all_tasks() - before}
    assert not {name for name in left if name.startswith("web-")}
