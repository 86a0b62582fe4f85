"""`score` answers lines in order as they arrive, and a bad line does not stop it."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from riskwire.errors import RiskwireError, SchemaError
from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.score import score, score_lines
from riskwire.records import ScoreRequest


@pytest.fixture
async def engine(tiny_bundle: Path) -> AsyncIterator[Engine]:
    async with Engine(Bundle.load(tiny_bundle)) as opened:
        yield opened


async def run(engine: Engine, *lines: object) -> tuple[int, list[dict[str, object]], str]:
    """Scores lines; values are written as JSON, bytes as they are. Returns exit status, results and error output."""
    raw = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    out, err = io.BytesIO(), io.StringIO()
    status = await score_lines(io.BytesIO(raw), out, err, engine, Linker())
    return status, [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


async def test_results_come_in_order_with_offsets_into_the_text(engine: Engine) -> None:
    """Scores 700 lines, more than one request to the model takes."""
    lines = [{"id": number, "text": f"Acme Corp loss {number}. Globex Inc wins."} for number in range(700)]
    status, results, err = await run(engine, *lines)
    assert (status, err) == (0, "")
    assert [result["id"] for result in results] == list(range(700))
    assert set(results[0]) == {"id", "sentiment", "sentences", "mentions", "targets", "topics"}
    text = str(lines[3]["text"])
    assert [text[mention["start"] : mention["end"]] for mention in results[3]["mentions"]] == [
        "Acme Corp",
        "Globex Inc",
    ]
    first, second = results[3]["sentences"]
    assert text[first["start"] : first["end"]] == "Acme Corp loss 3."
    assert first["sentiment"]["negative"] > 0.5 < second["sentiment"]["positive"]


async def test_targets_get_the_sentiment_toward_them(engine: Engine) -> None:
    """The targets are the spans of Acme (bad news), of Globex (good news), and the whole text, which is mixed."""
    text = "Acme Corp plunges. Globex Inc wins."
    spans = [{"start": 0, "end": 9}, {"start": 19, "end": 29}, {"start": 0, "end": len(text)}]
    _, (result,), _ = await run(engine, {"id": "x", "text": text, "targets": spans})
    toward = [target["sentiment"] for target in result["targets"]]
    assert toward[0]["negative"] > 0.9
    assert toward[1]["positive"] > 0.9
    assert toward[2]["negative"] == pytest.approx(toward[2]["positive"], abs=0.2)
    assert [{"start": target["start"], "end": target["end"]} for target in result["targets"]] == spans


async def test_bad_lines_are_reported_with_their_number_and_the_others_are_scored(engine: Engine) -> None:
    """Lines 2 (no JSON), 4 (no text), 5 (a target outside the text) and 6 (too long) are bad.

    The empty line 3 is skipped without a message. The exit status is 1.
    """
    status, results, err = await run(
        engine,
        {"id": 1, "text": "Acme wins"},
        b"{",
        b"",
        {"id": 2},
        {"id": 3, "text": "Acme", "targets": [{"start": 2, "end": 9}]},
        {"id": 4, "text": "x" * 1_100_000},
        {"id": 5, "text": "Globex loss"},
    )
    assert status == 1
    assert [result["id"] for result in results] == [1, 5]
    assert [line.split(":")[0] for line in err.splitlines()] == ["line 2", "line 4", "line 5", "line 6"]
    assert "targets.0" in err
    assert "longer than" in err


async def test_a_byte_order_mark_does_not_make_the_first_line_bad(engine: Engine) -> None:
    status, results, err = await run(
        engine, b'\xef\xbb\xbf{"id": 1, "text": "Acme Corp plunges."}', {"id": 2, "text": "x"}
    )
    assert (status, err, [result["id"] for result in results]) == (0, "", [1, 2])


async def test_a_text_without_a_word_is_neutral(engine: Engine) -> None:
    """An empty or blank text is no error."""
    status, results, _ = await run(engine, {"id": 1, "text": ""}, {"id": 2, "text": " \n "})
    assert status == 0
    for result in results:
        assert result["sentiment"] == {"negative": 0.0, "neutral": 1.0, "positive": 0.0}
        assert result["sentences"] == result["mentions"] == result["topics"] == []


async def test_a_long_text_is_read_to_its_end(engine: Engine) -> None:
    text = "\n\n".join(f"Acme Corp said {number}." for number in range(200))
    _, (result,), _ = await run(engine, {"id": 1, "text": text})
    assert len(result["sentences"]) == 200


async def test_a_line_is_answered_before_the_next_arrives(engine: Engine) -> None:
    """Writes each line into a pipe only after the answer to the line before has been read."""
    read_in, write_in = os.pipe()
    read_out, write_out = os.pipe()
    with (
        os.fdopen(read_in, "rb") as lines,
        os.fdopen(write_in, "wb", buffering=0) as feed,
        os.fdopen(read_out, "rb") as answers,
        os.fdopen(write_out, "wb") as out,
    ):
        task = asyncio.create_task(score_lines(lines, out, io.StringIO(), engine, Linker()))
        for number in range(3):
            feed.write(json.dumps({"id": number, "text": "Acme wins"}).encode() + b"\n")
            answer = await asyncio.wait_for(asyncio.to_thread(answers.readline), 20)
            assert json.loads(answer)["id"] == number
        feed.close()
        assert await asyncio.wait_for(task, 20) == 0


async def test_a_full_disk_is_reported_in_one_message(engine: Engine) -> None:
    """/dev/full fails every write for lack of space."""
    lines = io.BytesIO(b'{"id": 1, "text": "Acme wins"}\n')
    out = os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb")
    with pytest.raises(RiskwireError) as raised:
        await score_lines(lines, out, io.StringIO(), engine, Linker())
    out.close()  # the buffer was discarded, so closing does not fail again
    assert "the results cannot be written: OSError: " in str(raised.value)
    assert "No space left" in str(raised.value)


async def test_it_ends_without_a_message_when_the_reader_of_the_results_has_closed_them(engine: Engine) -> None:
    """As with `| head`: the pipe of the results has no reader. The exit status is 1, and the input may stay open."""
    read_in, write_in = os.pipe()
    read_out, write_out = os.pipe()
    os.close(read_out)
    err = io.StringIO()
    with os.fdopen(read_in, "rb") as lines, os.fdopen(write_in, "wb", buffering=0) as feed:
        with os.fdopen(write_out, "wb") as out:  # closing does not fail again
            feed.write(b'{"id": 1, "text": "Acme wins"}\n')
            assert await asyncio.wait_for(score_lines(lines, out, err, engine, Linker()), 20) == 1
        feed.close()
    assert err.getvalue() == ""


async def test_a_failure_to_read_lines_is_reported_with_its_cause(engine: Engine) -> None:
    class FailingInput(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            raise OSError("the disk is gone")

    with pytest.raises(RiskwireError, match="the lines cannot be read: OSError: the disk is gone"):
        await score_lines(FailingInput(), io.BytesIO(), io.StringIO(), engine, Linker())


async def test_the_api_gets_results_in_order_and_the_error_for_a_bad_target_names_its_id(engine: Engine) -> None:
    results = await score(
        [ScoreRequest(id="b", text="Acme loss"), ScoreRequest(id="a", text="Globex wins")], engine, Linker()
    )
    assert [result.id for result in results] == ["b", "a"]
    bad = ScoreRequest.model_validate({"id": "c", "text": "Acme", "targets": [{"start": 3, "end": 3}]})
    with pytest.raises(SchemaError, match=r"id 'c': targets\.0"):
        await score([bad], engine, Linker())
