"""What a user gets wrong is told clearly, with a non-zero exit, and nothing is half-written."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cli import environment, lines, riskwire

from riskwire.demo import corpus_path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Five lines of which the third is broken."""
    rows = corpus_path().read_text(encoding="utf-8").splitlines()[:4]
    path = tmp_path / "archive.jsonl"
    path.write_text("\n".join([*rows[:2], '{"published_at": "yesterday", "title": "x"}', *rows[2:]]) + "\n")
    return path


def _bundle(tiny: Path, folder: Path) -> dict[str, str]:
    shutil.copytree(tiny, folder)
    return environment(RISKWIRE_INFERENCE__BUNDLE=str(folder))


def test_a_bad_line_in_an_archive_goes_to_the_dead_letters_with_its_number_and_the_rest_is_read(
    archive: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    env = environment(RISKWIRE_INFERENCE__BUNDLE=str(tiny_bundle))
    done = riskwire("replay", archive, "--data", tmp_path / "data", env=env)
    assert done.returncode == 0, done.stderr
    assert "1 bad line" in done.stderr
    status = lines("status", "--data", tmp_path / "data", env=env)[0]
    assert status["topics"]["analyses"] == 4
    assert status["topics"]["dead-letters"] == 1
    with closing(sqlite3.connect(tmp_path / "data" / "store.sqlite")) as store:
        letters = [json.dumps(row) for row in store.execute("select * from dead_letters")]
    assert len(letters) == 1
    assert "line 3" in letters[0]
    assert "published_at" in letters[0]


def test_a_bundle_whose_hash_is_wrong_is_refused(tmp_path: Path, tiny_bundle: Path) -> None:
    env = _bundle(tiny_bundle, tmp_path / "bundle")
    with (tmp_path / "bundle" / "model.int8.onnx").open("ab") as file:
        file.write(b"x")
    done = riskwire("replay", corpus_path(), "--data", tmp_path / "data", env=env)
    assert done.returncode == 2
    assert "model.int8.onnx" in done.stderr
    assert "sha" in done.stderr.lower()
    assert not (tmp_path / "data").exists()


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    env = environment(RISKWIRE_INFERENCE__BUNDLE=str(tmp_path / "nowhere"))
    done = riskwire("score", env=env, input="")
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_entities_that_claim_one_alias_are_both_named(tmp_path: Path) -> None:
    watchlist = tmp_path / "watchlist.yaml"
    watchlist.write_text("- {id: a, name: Acme, aliases: [Zenith]}\n- {id: b, name: Zenith Corp}\n")
    done = riskwire("replay", corpus_path(), "--watchlist", watchlist, "--data", tmp_path / "data")
    assert done.returncode == 2
    for told in ("watchlist.yaml", "Zenith", "a", "b"):
        assert told in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("text", ["- {id: one}\n", "feeds: [", "{}", "- {id: a, url: 'ftp://x.example/'}\n"])
def test_a_feed_list_that_cannot_be_used_is_named(tmp_path: Path, text: str) -> None:
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text(text)
    done = riskwire("run", "--feeds", feeds, "--data", tmp_path / "data", "--port", 0)
    assert done.returncode == 2
    assert "feeds.yaml" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("file", "newer"),
    [("bus.sqlite", "pragma user_version = 9999"), ("store.sqlite", "update riskwire_schema set version = 9999")],
)
def test_a_database_of_a_newer_version_is_left_alone(
    tmp_path: Path, tiny_bundle: Path, archive: Path, file: str, newer: str
) -> None:
    env = environment(RISKWIRE_INFERENCE__BUNDLE=str(tiny_bundle))
    data = tmp_path / "data"
    assert riskwire("replay", archive, "--data", data, env=env).returncode == 0
    with closing(sqlite3.connect(data / file, isolation_level=None)) as database:
        database.execute(newer)
    before = (data / file).read_bytes()
    done = riskwire("replay", archive, "--data", data, env=env)
    assert done.returncode == 2
    assert file in done.stderr
    assert "newer" in done.stderr
    assert (data / file).read_bytes() == before


def test_a_port_in_use_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = riskwire("run", "--port", port, "--data", tmp_path / "data")
    assert done.returncode == 2
    assert f"port {port} is in use" in done.stderr
    assert not (tmp_path / "data").exists()


def test_listening_beyond_loopback_needs_a_token(tmp_path: Path) -> None:
    env = environment(RISKWIRE_WEB__HOST="0.0.0.0")
    done = riskwire("run", "--port", 0, "--data", tmp_path / "data", env=env)
    assert done.returncode == 2
    assert "token" in done.stderr
    assert not (tmp_path / "data").exists()


def test_an_archive_that_is_not_there_or_not_an_archive_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "fake.gz").write_bytes(b"not gzip at all")
    for name in ("nowhere.jsonl", "fake.gz"):
        done = riskwire("replay", tmp_path / name, "--data", tmp_path / "data")
        assert done.returncode == 2
        assert name in done.stderr
        assert not (tmp_path / "data").exists()


def test_asking_for_cuda_where_there_is_none_is_an_error(tiny_bundle: Path) -> None:
    env = environment(RISKWIRE_INFERENCE__DEVICE="cuda", RISKWIRE_INFERENCE__BUNDLE=str(tiny_bundle))
    done = riskwire("score", env=env, input='{"id": 1, "text": "x"}\n')
    assert done.returncode == 2
    assert "cuda" in done.stderr.lower()
    assert not done.stdout


def test_a_bad_line_to_score_does_not_stop_the_rest(tiny_bundle: Path) -> None:
    env = environment(RISKWIRE_INFERENCE__BUNDLE=str(tiny_bundle))
    text = '{"id": 1, "text": "Acme Corp profit rises."}\nnonsense\n{"id": 3, "text": "Fraud at Acme."}\n'
    done = riskwire("score", env=env, input=text)
    assert done.returncode == 1
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, 3]
    assert "2" in done.stderr


def test_commands_about_a_directory_that_is_not_there_make_none(tmp_path: Path) -> None:
    for words in (["alerts"], ["targets"], ["stories", "--target", "market"], ["status"]):
        done = riskwire(*words, "--data", tmp_path / "gone")
        assert done.returncode == 2
        assert "gone" in done.stderr
    assert not (tmp_path / "gone").exists()
