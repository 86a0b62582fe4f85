"""Mistakes of a user are refused with a clear message and a non-zero exit code, before anything is written."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cli import environment, json_lines, riskwire

from riskwire.demo import corpus_path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of five lines, the third of which is broken."""
    rows = corpus_path().read_text(encoding="utf-8").splitlines()[:4]
    path = tmp_path / "archive.jsonl"
    path.write_text("\n".join([*rows[:2], '{"published_at": "yesterday", "title": "x"}', *rows[2:]]) + "\n")
    return path


def _environment_of_copied_bundle(tiny: Path, folder: Path) -> dict[str, str]:
    """Copies a model bundle to `folder`, and returns environment variables that let riskwire use the copy."""
    shutil.copytree(tiny, folder)
    return environment(RISKWIRE_INFERENCE__BUNDLE=str(folder))


def test_a_bad_line_of_an_archive_becomes_a_dead_letter_with_its_number(
    archive: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    """The replay counts the line and succeeds; the four good lines are analysed."""
    env = environment(RISKWIRE_INFERENCE__BUNDLE=str(tiny_bundle))
    completed = riskwire("replay", archive, "--data", tmp_path / "data", env=env)
    assert completed.returncode == 0, completed.stderr
    assert "1 bad line" in completed.stderr
    status = json_lines("status", "--data", tmp_path / "data", env=env)[0]
    assert status["topics"]["analyses"] == 4
    assert status["topics"]["dead-letters"] == 1
    with closing(sqlite3.connect(tmp_path / "data" / "store.sqlite")) as store:
        dead_letters = [json.dumps(row) for row in store.execute("select * from dead_letters")]
    assert len(dead_letters) == 1
    assert "line 3" in dead_letters[0]
    assert "published_at" in dead_letters[0]


def test_a_bundle_with_a_wrong_hash_is_refused(tmp_path: Path, tiny_bundle: Path) -> None:
    """A model bundle is a folder with model files and a manifest of their SHA-256 hashes."""
    env = _environment_of_copied_bundle(tiny_bundle, tmp_path / "bundle")
    with (tmp_path / "bundle" / "model.int8.onnx").open("ab") as file:
        file.write(b"x")
    completed = riskwire("replay", corpus_path(), "--data", tmp_path / "data", env=env)
    assert completed.returncode == 2
    assert "model.int8.onnx" in completed.stderr
    assert "sha" in completed.stderr.lower()
    assert not (tmp_path / "data").exists()


def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    env = environment(RISKWIRE_INFERENCE__BUNDLE=str(tmp_path / "nowhere"))
    completed = riskwire("score", env=env, input="")
    assert completed.returncode == 2
    assert "nowhere" in completed.stderr
    assert "Traceback" not in completed.stderr


def test_two_entities_with_the_same_alias_are_both_named(tmp_path: Path) -> None:
    """The alias of the first entity is also a name of the second, whose "Corp" may be left out."""
    watchlist = tmp_path / "watchlist.yaml"
    watchlist.write_text("- {id: a, name: Acme, aliases: [Zenith]}\n- {id: b, name: Zenith Corp}\n")
    completed = riskwire("replay", corpus_path(), "--watchlist", watchlist, "--data", tmp_path / "data")
    assert completed.returncode == 2
    for text in ("watchlist.yaml", "Zenith", "a", "b"):
        assert text in completed.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "text",
    ["- {id: one}\n", "feeds: [", "{}", "- {id: a, url: 'ftp://x.example/'}\n"],
    ids=["no url", "invalid yaml", "mapping", "ftp"],
)
def test_a_bad_feed_list_is_named(tmp_path: Path, text: str) -> None:
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text(text)
    completed = riskwire("run", "--feeds", feeds, "--data", tmp_path / "data", "--port", 0)
    assert completed.returncode == 2
    assert "feeds.yaml" in completed.stderr
    assert "Traceback" not in completed.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("bus.sqlite", "pragma user_version = 9999", "newer riskwire"),
        ("store.sqlite", "update riskwire_schema set version_num = 9999", "newer riskwire"),
        ("bus.sqlite", "pragma user_version = 1", "riskwire 0.1"),
        ("store.sqlite", "update riskwire_schema set version_num = 3", "riskwire 0.1"),
    ],
    ids=["newer bus", "newer store", "bus of 0.1", "store of 0.1"],
)
def test_a_database_of_another_version_is_refused_and_unchanged(
    tmp_path: Path, tiny_bundle: Path, archive: Path, file: str, change: str, message: str
) -> None:
    """The data directory is made by this version, and then the version in one of its databases is changed.

    The message names the file, the version, and `--data`, with which another directory can be used.
    """
    env = environment(RISKWIRE_INFERENCE__BUNDLE=str(tiny_bundle))
    data = tmp_path / "data"
    assert riskwire("replay", archive, "--data", data, env=env).returncode == 0
    with closing(sqlite3.connect(data / file, isolation_level=None)) as database:
        database.execute(change)
    before = (data / file).read_bytes()
    completed = riskwire("replay", archive, "--data", data, env=env)
    assert completed.returncode == 2
    assert file in completed.stderr
    assert message in completed.stderr
    assert "--data" in completed.stderr
    assert (data / file).read_bytes() == before


def test_a_port_in_use_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        completed = riskwire("run", "--port", port, "--data", tmp_path / "data")
    assert completed.returncode == 2
    assert f"port {port} is in use" in completed.stderr
    assert not (tmp_path / "data").exists()


def test_listening_beyond_loopback_needs_a_token(tmp_path: Path) -> None:
    """The page is to listen on all addresses of the machine."""
    env = environment(RISKWIRE_WEB__HOST="0.0.0.0")
    completed = riskwire("run", "--port", 0, "--data", tmp_path / "data", env=env)
    assert completed.returncode == 2
    assert "token" in completed.stderr
    assert not (tmp_path / "data").exists()


def test_a_missing_or_damaged_archive_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "fake.gz").write_bytes(b"not gzip at all")
    for name in ("nowhere.jsonl", "fake.gz"):
        completed = riskwire("replay", tmp_path / name, "--data", tmp_path / "data")
        assert completed.returncode == 2
        assert name in completed.stderr
        assert not (tmp_path / "data").exists()


def test_cuda_on_a_machine_without_it_is_an_error(tiny_bundle: Path) -> None:
    env = environment(RISKWIRE_INFERENCE__DEVICE="cuda", RISKWIRE_INFERENCE__BUNDLE=str(tiny_bundle))
    completed = riskwire("score", env=env, input='{"id": 1, "text": "x"}\n')
    assert completed.returncode == 2
    assert "cuda" in completed.stderr.lower()
    assert not completed.stdout


def test_score_continues_after_a_bad_line(tiny_bundle: Path) -> None:
    """Line 2 is no JSON. The other lines are scored, the error names line 2, and the exit code is 1."""
    env = environment(RISKWIRE_INFERENCE__BUNDLE=str(tiny_bundle))
    text = '{"id": 1, "text": "Acme Corp profit rises."}\nnonsense\n{"id": 3, "text": "Fraud at Acme."}\n'
    completed = riskwire("score", env=env, input=text)
    assert completed.returncode == 1
    assert [json.loads(line)["id"] for line in completed.stdout.splitlines()] == [1, 3]
    assert "2" in completed.stderr


def test_commands_do_not_create_a_missing_data_directory(tmp_path: Path) -> None:
    for words in (["alerts"], ["targets"], ["stories", "--target", "market"], ["status"]):
        completed = riskwire(*words, "--data", tmp_path / "gone")
        assert completed.returncode == 2
        assert "gone" in completed.stderr
    assert not (tmp_path / "gone").exists()
