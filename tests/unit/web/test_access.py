"""Tokens, sessions, TLS, probes and private files: how the web port knows who may ask."""

from __future__ import annotations

import asyncio
import ssl
import stat
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from tls_broker import make_certificates

from riskwire import metrics
from riskwire.bus.embedded.lock import lock_data_dir
from riskwire.errors import SettingsError
from riskwire.settings import Settings, WebSettings, load_settings
from riskwire.settings.permissions import open_to_others
from riskwire.store import Store
from riskwire.web import Readiness, bind, bind_probes, create_open_probes, serve_probes
from riskwire.web.session import SessionToken, WrongTokens

TOKEN = "open sésame, please"


def test_a_short_token_is_refused_without_being_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a setting and from a file. The message states only its length."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="at least 16 characters, and this one has 7") as refusal:
        load_settings(overrides={"web": {"token": "hunter2"}})
    assert "hunter2" not in str(refusal.value)
    (tmp_path / "token").write_text("hunter2\n")
    with pytest.raises(SettingsError, match=r"token: web\.token_file: .*at least 16 characters"):
        load_settings(overrides={"web": {"token_file": str(tmp_path / "token")}})


def test_a_token_file_is_a_small_file_that_only_its_owner_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that everybody reads is accepted with a warning, since containers mount secrets so."""
    monkeypatch.chdir(tmp_path)
    token = tmp_path / "token"
    token.write_text("a-token-of-these-tests\n")
    for mode, message in ((0o602, "every user can write this file"), (0o604, None), (0o600, None)):
        token.chmod(mode)
        if message is not None:
            with pytest.raises(SettingsError, match=message):
                load_settings(overrides={"web": {"token_file": str(token)}})
        else:
            settings = load_settings(overrides={"web": {"token_file": str(token)}})
            warned = any("web.token_file" in warning for warning in open_to_others(settings))
            assert warned == (mode == 0o604)
    with pytest.raises(SettingsError, match="not a file of at most"):
        load_settings(overrides={"web": {"token_file": "/dev/zero"}})


def test_the_data_directory_is_private(tmp_path: Path) -> None:
    """The bus or the store creates it for its owner only. One that exists stays as it is, with a warning."""
    settings = Settings(data=tmp_path / "new" / "data")
    with Store.open(settings):
        assert stat.S_IMODE(settings.data.stat().st_mode) == 0o700
    assert open_to_others(settings) == []
    settings.data.chmod(0o755)
    with lock_data_dir(settings.data):
        assert stat.S_IMODE(settings.data.stat().st_mode) == 0o755
    assert "chmod 700" in open_to_others(settings)[0]


def test_a_session_expires_and_its_cookie_cannot_be_changed() -> None:
    token = SessionToken(TOKEN, 3_600)
    cookie = token.new_cookie(1_000_000.0, secure=False)
    name_and_proof = cookie.partition(";")[0]
    assert "Max-Age=3600" in cookie
    assert token.has_session(f"other=1; {name_and_proof}", 1_003_599.0)
    assert not token.has_session(name_and_proof, 1_003_600.0)
    assert not token.has_session(name_and_proof.replace("1003600.", "1003601."), 1_000_000.0)
    assert not SessionToken("another token of the tests", 3_600).has_session(name_and_proof, 1_000_000.0)
    for broken in ("", "=", ";;;", f"{name_and_proof.partition('=')[0]}=²", "a=" + "\\a" * 100_000, "é=\udcff"):
        assert not token.has_session(broken, 1_000_000.0)


async def test_the_cookie_is_secure_behind_tls(serving: Any, tmp_path: Path) -> None:
    """When riskwire serves TLS itself, or when a proxy reports that the browser used TLS."""
    async with serving(token=SecretStr(TOKEN)) as client:
        for headers, secure in (({}, False), ({"X-Forwarded-Proto": "https"}, True)):
            async with client.get("/", params={"token": TOKEN}, headers=headers) as response:
                assert ("; Secure" in response.headers["Set-Cookie"]) == secure
    make_certificates(tmp_path / "tls")
    files = {"cert_file": tmp_path / "tls" / "client.pem", "key_file": tmp_path / "tls" / "client.key"}
    trust = ssl.create_default_context(cafile=str(tmp_path / "tls" / "ca.pem"))
    async with (
        serving(token=SecretStr(TOKEN), **files) as client,
        client.get("/", params={"token": TOKEN}, ssl=trust) as response,
    ):
        assert response.status == 200
        assert "; Secure" in response.headers["Set-Cookie"]


def test_a_certificate_without_its_key_or_with_another_is_refused(tmp_path: Path) -> None:
    make_certificates(tmp_path / "tls")
    cert, other_key = tmp_path / "tls" / "client.pem", tmp_path / "tls" / "impostor.key"
    with pytest.raises(SettingsError, match=r"web\.key_file: .*belong together"):
        bind(WebSettings(port=0, cert_file=cert))
    with pytest.raises(SettingsError, match=r"web\.cert_file: .*cannot be used"):
        bind(WebSettings(port=0, cert_file=cert, key_file=other_key))


async def test_wrong_tokens_are_counted_logged_and_slowed(serving: Any) -> None:
    """The right token is answered at once meanwhile, from the same address. Fifty refusals give two lines of log."""
    wrong = metrics.REFUSED_REQUESTS.labels(reason="wrong token")._value
    missing = metrics.REFUSED_REQUESTS.labels(reason="no token")._value
    counts = wrong.get(), missing.get()
    async with serving(token=SecretStr(TOKEN)) as client:
        with capture_logs() as lines:
            for _ in range(40):
                async with client.get("/metrics") as response:
                    assert response.status == 401
            begun = time.monotonic()
            for _ in range(5):
                async with client.get("/metrics", headers={"Authorization": "Bearer guess"}) as response:
                    assert response.status == 401
            assert time.monotonic() - begun > 0.7, "the fourth and fifth wait 0.25 and 0.5 s"
        guess = asyncio.create_task(client.get("/metrics", headers={"Authorization": "Bearer guess"}))
        begun = time.monotonic()
        async with client.get("/healthz") as response, client.get("/", params={"token": TOKEN}) as page:
            assert (response.status, page.status) == (200, 200)
        assert time.monotonic() - begun < 0.9
        (await guess).release()
    assert (wrong.get() - counts[0], missing.get() - counts[1]) == (6, 40)
    assert [line["event"] for line in lines] == [
        "a request with no token is refused",
        "a request with wrong token is refused",
    ]
    assert lines[0]["client"] == "127.0.0.1"


def test_the_delay_of_a_wrong_token_grows_and_is_bounded() -> None:
    """For each client, an IPv6 network being one. It is forgotten after ten minutes; so are clients beyond 1,024."""
    tokens = WrongTokens()
    delays = [tokens.delay_s("2001:db8::1", 0.0) for _ in range(10)]
    assert delays[:6] == [0.0, 0.0, 0.0, 0.25, 0.5, 1.0]
    assert delays[-1] == 5.0
    assert tokens.delay_s("2001:db8::2", 0.0) == 5.0
    assert tokens.delay_s("192.0.2.1", 0.0) == 0.0
    assert tokens.delay_s("2001:db8::1", 601.0) == 0.0
    for number in range(3_000):
        tokens.delay_s(f"client {number}", 700.0)
    assert len(tokens._clients) == WrongTokens.MAX_CLIENTS


async def test_the_address_behind_a_trusted_proxy_is_logged(serving: Any) -> None:
    for proxies, client_address in (((), "127.0.0.1"), (("127.0.0.1",), "192.0.2.7")):
        async with serving(token=SecretStr(TOKEN), proxies=proxies) as client:
            with capture_logs() as lines:
                async with client.get("/", headers={"X-Forwarded-For": "192.0.2.7"}) as response:
                    assert response.status == 401
            assert lines[0]["client"] == client_address


async def test_any_host_is_accepted_where_set_so_and_needs_a_token(serving: Any) -> None:
    """Without a token, any web site could read the page through DNS rebinding."""
    with pytest.raises(SettingsError, match=r"web\.hosts: .*needs a token"):
        bind(WebSettings(port=0, hosts=("*",)))
    headers = {"Authorization": f"Bearer {TOKEN}".encode().decode("latin-1")}
    async with serving(token=SecretStr(TOKEN), hosts=("*",)) as client:
        for host in ("10.1.2.3:8080", "risk.example", "[::1", "a b"):
            async with client.get("/api/v1/alerts?limit=1", headers={**headers, "Host": host}) as response:
                assert response.status in (200, 401), host


async def test_open_probes_need_neither_token_nor_host(serving: Any) -> None:
    """A kubelet and Prometheus ask by the address of the pod. The page stays closed."""
    async with serving(token=SecretStr(TOKEN), open_probes=True) as client:
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/api/v1/alerts", 421)):
            async with client.get(path, headers={"Host": "10.1.2.3:8080"}) as response:
                assert response.status == status, path
        async with client.get("/api/v1/alerts") as response:
            assert response.status == 401


async def test_probes_have_a_port_of_their_own(store: Store) -> None:
    """It answers any host without a token, and nothing but the probes."""
    settings = Settings(web=WebSettings(port=0, token=SecretStr(TOKEN), probe_port=0))
    listener = bind_probes(settings.web)
    assert listener is not None
    port = listener.getsockname()[1]
    serving = asyncio.create_task(serve_probes(create_open_probes(settings, Readiness), settings, listener))
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers={"Host": "10.1.2.3"}) as client:
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/api/v1/alerts", 421)):
            async with client.get(path) as response:
                assert response.status == status, path
        async with client.head("/readyz") as response:
            assert response.status == 200
    serving.cancel()
    await asyncio.wait([serving])
