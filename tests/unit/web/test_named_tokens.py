"""Named tokens: what each may do, whose decisions they are, and settings that cannot be used."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import SecretStr

from riskwire.errors import SettingsError
from riskwire.settings import TokenSettings, load_settings

ADA, BOB, FEED, SHARED = (f"token-of-{name}-in-a-test" for name in ("ada", "bob", "feed", "all"))
NAMED = (
    TokenSettings(name="ada", roles=("operate",), token=SecretStr(ADA)),
    TokenSettings(name="bob", token=SecretStr(BOB)),
    TokenSettings(name="feed", roles=("push",), token=SecretStr(FEED)),
)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def status_of(client: Any, method: str, path: str, token: str, body: Any = None) -> int:
    async with client.request(method, path, json=body, headers=bearer(token)) as response:
        return response.status  # type: ignore[no-any-return]


async def test_each_role_may_do_what_it_says_and_no_more(serving: Any, filled: ModuleType) -> None:
    """`read` sees and scores, `operate` also decides, `push` does neither."""
    command = {"kind": "acknowledge", "alert": filled.alert("veldara").id}
    requests = (
        ("GET", "/api/v1/alerts", None, (200, 200, 403)),
        ("POST", "/api/v1/analyse", [{"id": 1, "text": "x"}], (200, 200, 403)),
        ("POST", "/api/v1/commands", command, (202, 403, 403)),
        ("DELETE", "/api/v1/watchlist/acme", None, (503, 403, 403)),
    )
    async with serving(tokens=NAMED) as client:
        for method, path, body, expected in requests:
            answers = [await status_of(client, method, path, token, body) for token in (ADA, BOB, FEED)]
            assert tuple(answers) == expected, (method, path)
        assert await status_of(client, "GET", "/api/v1/alerts", "a-token-that-is-of-nobody") == 401


async def test_a_decision_carries_the_name_of_the_owner_of_its_token(
    serving: Any, filled: ModuleType, process: Any
) -> None:
    alert = filled.alert("veldara").id
    async with serving(tokens=NAMED, headers=bearer(ADA)) as client:
        for by, status in ((None, 202), ("ada", 202), ("bob", 403)):
            body = {"kind": "comment", "alert": alert, "comment": "looking", "by": by}
            async with client.post("/api/v1/commands", json=body) as response:
                assert response.status == status
        async with client.get("/api/v1/decisions") as response:
            assert [(row["kind"], row["by"]) for row in await response.json()][:2] == [("comment", "ada")] * 2
        async with client.get("/api/v1/me") as response:
            assert await response.json() == {"name": "ada", "roles": ["operate"]}
    assert [command.by for command in process.commands] == ["ada", "ada"]


async def test_the_token_without_a_name_may_do_everything_and_says_who_decides(
    serving: Any, filled: ModuleType, process: Any
) -> None:
    body = {"kind": "acknowledge", "alert": filled.alert("veldara").id}
    async with serving(token=SecretStr(SHARED), tokens=NAMED, headers=bearer(SHARED)) as client:
        async with client.post("/api/v1/commands", json=body) as response:
            assert response.status == 422
            assert "say who decides" in (await response.json())["detail"]
        async with client.post("/api/v1/commands", json=body | {"by": "carol"}) as response:
            assert response.status == 202
    assert [command.by for command in process.commands] == ["carol"]


async def test_a_browser_that_opens_the_page_with_another_token_is_its_owner(serving: Any) -> None:
    """The client keeps cookies as a browser does; aiohttp keeps none of an address."""
    cookies: dict[str, str] = {}
    async with serving(tokens=NAMED) as client:
        for token, name in ((ADA, "ada"), (BOB, "bob"), (ADA, "ada")):
            async with client.get("/", params={"token": token}, cookies=cookies) as response:
                assert response.status == 200
                for cookie in response.cookies.values():
                    cookies.pop(cookie.key, None)
                    if cookie["max-age"] != "0":
                        cookies[cookie.key] = cookie.value
            async with client.get("/api/v1/me", cookies=cookies) as response:
                assert (await response.json())["name"] == name


def test_tokens_are_read_from_their_files(tmp_path: Path) -> None:
    (tmp_path / "ada").write_text(ADA)
    (tmp_path / "ada").chmod(0o600)
    tokens = [{"name": "ada", "roles": ["operate"], "token_file": str(tmp_path / "ada")}]
    (named,) = load_settings(overrides={"web": {"tokens": tokens}}).web.tokens
    assert named.token is not None
    assert named.token.get_secret_value() == ADA


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([{"name": "ada"}], r"web\.tokens\[0\]: 'ada' needs one of `token` and `token_file`"),
        ([{"name": "ada", "token": ADA}, {"name": "ada", "token": BOB}], "a second token of 'ada'"),
        ([{"name": "ada", "token": ADA}, {"name": "bob", "token": ADA}], "'bob' has the token of another one"),
        ([{"name": "ada", "token": "short"}], "at least 16 characters"),
        ([{"name": "ada", "token": ADA, "roles": ["admin"]}], "'read', 'operate' or 'push'"),
        ([{"name": "ada", "token": ADA, "roles": []}], "roles"),
        ([{"name": "", "token": ADA}], "name"),
    ],
)
def test_tokens_that_cannot_be_used_are_refused_without_showing_them(
    tokens: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings(overrides={"web": {"tokens": tokens}})
    assert ADA not in str(caught.value)
