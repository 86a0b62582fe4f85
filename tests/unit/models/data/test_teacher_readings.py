"""Readings of a teacher: the file that holds them, and the examples that get them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import riskwire_models
from riskwire_models.data.examples import Example
from riskwire_models.data.labels import (
    EVENT_TYPES,
    LEVELS,
    SENTIMENTS,
    TOPICS,
    LabelledTarget,
    MentionReading,
    SentenceReading,
)
from riskwire_models.data.teacher import TextReading, key_of, read_readings, with_readings, write_readings
from riskwire_models.errors import TrainingDataError

#: Largest error of a probability, which the file stores as a multiple of 1/255, before it is made to add up to 1.
ROUNDING = 0.5 / 255


#: Readings of the recipe `risk-teacher`, for pupils.
SHIPPED = Path(riskwire_models.__file__).parent / "labels" / "readings.npz"


def distribution(labels: tuple[str, ...], seed: int) -> tuple[float, ...]:
    values = np.random.default_rng(seed).dirichlet(np.ones(len(labels)))
    return tuple(values.tolist())


def mention_reading(seed: int) -> MentionReading:
    chances = np.random.default_rng(seed).random(len(EVENT_TYPES))
    return MentionReading(distribution(SENTIMENTS, seed), distribution(LEVELS, seed), tuple(chances.tolist()))


def text_reading(seed: int, spans: list[tuple[int, int]]) -> TextReading:
    chances = np.random.default_rng(seed + 1).random(len(EVENT_TYPES))
    sentence = SentenceReading(distribution(SENTIMENTS, seed), distribution(TOPICS, seed), tuple(chances.tolist()))
    return TextReading(sentence, {span: mention_reading(seed + number) for number, span in enumerate(spans)})


def close(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    """Returns whether two rows of probabilities are equal up to the rounding of the file and the new total of 1."""
    return first == pytest.approx(second, abs=ROUNDING * (1 + len(first) / 4))


READINGS = {
    "Acme falls": text_reading(1, [(0, 4)]),
    "Rates rise": text_reading(2, []),
    "Globex sues Initech": text_reading(3, [(0, 6), (12, 19)]),
}


def test_readings_that_are_written_and_read_are_equal_up_to_rounding(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "readings.npz"
    write_readings(path, READINGS)
    loaded = read_readings(path)
    assert loaded.keys() == {key_of(text) for text in READINGS}
    for text, expected in READINGS.items():
        reading = loaded[key_of(text)]
        assert close(reading.sentence.sentiment, expected.sentence.sentiment)
        assert close(reading.sentence.topics, expected.sentence.topics)
        assert reading.sentence.events == pytest.approx(expected.sentence.events, abs=ROUNDING + 1e-6)
        assert reading.mentions.keys() == expected.mentions.keys()
        for span, mention in expected.mentions.items():
            assert close(reading.mentions[span].target_sentiment, mention.target_sentiment)
            assert close(reading.mentions[span].level, mention.level)
            assert reading.mentions[span].events == pytest.approx(mention.events, abs=ROUNDING + 1e-6)


@given(seed=st.integers(0, 10**6))
def test_distributions_that_are_read_add_up_to_one(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    path = tmp_path_factory.mktemp("readings") / "r.npz"
    write_readings(path, {"a": text_reading(seed, [(0, 1)])})
    (reading,) = read_readings(path).values()
    mention = reading.mentions[0, 1]
    for values in (reading.sentence.sentiment, reading.sentence.topics, mention.target_sentiment, mention.level):
        assert sum(values) == pytest.approx(1.0, abs=1e-5)
        assert min(values) >= 0


def test_a_file_has_the_name_that_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "readings"
    write_readings(path, READINGS)
    assert read_readings(path).keys() == {key_of(text) for text in READINGS}


def test_a_file_without_texts_can_be_read(tmp_path: Path) -> None:
    write_readings(tmp_path / "r.npz", {})
    assert read_readings(tmp_path / "r.npz") == {}


def test_the_file_does_not_hold_the_texts(tmp_path: Path) -> None:
    write_readings(tmp_path / "r.npz", READINGS)
    with np.load(tmp_path / "r.npz") as arrays:
        assert all(arrays[name].dtype.kind in "ui" for name in arrays.files)


def test_a_missing_file_names_the_command_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"no readings of a teacher in .*r\.npz: .*riskwire model read"):
        read_readings(tmp_path / "r.npz")


def test_a_file_with_other_labels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.npz"
    write_readings(path, READINGS)
    with np.load(path) as arrays:
        content = dict(arrays)
    np.savez_compressed(path, **{**content, "mentions": content["mentions"][:, :-1]})
    with pytest.raises(TrainingDataError, match=r"r\.npz was written with other labels"):
        read_readings(path)


def test_the_hash_of_a_text_never_changes() -> None:
    assert key_of("Acme falls") == 7_312_422_885_408_749_070


def test_a_labelled_mention_gets_its_reading_and_a_mention_that_only_the_teacher_knows_becomes_a_target() -> None:
    reading = READINGS["Globex sues Initech"]
    labelled = LabelledTarget(0, 6, level="mild", events=("litigation",))
    example = Example("Globex sues Initech", "risk", targets=(labelled,), events=())
    (read,) = with_readings([example], {key_of(example.text): reading})
    assert read.teacher == reading.sentence
    assert read.targets == (
        LabelledTarget(0, 6, level="mild", events=("litigation",), teacher=reading.mentions[0, 6]),
        LabelledTarget(12, 19, teacher=reading.mentions[12, 19]),
    )
    assert (read.text, read.source, read.events) == (example.text, "risk", ())


def test_a_labelled_mention_that_the_teacher_did_not_read_keeps_its_label() -> None:
    example = Example("Acme falls", "risk", targets=(LabelledTarget(5, 10, level="mild"),))
    (read,) = with_readings([example], {key_of(example.text): READINGS["Acme falls"]})
    assert read.targets[0] == LabelledTarget(5, 10, level="mild")
    assert [(target.start, target.end) for target in read.targets] == [(5, 10), (0, 4)]


def test_a_text_that_the_teacher_did_not_read_is_unchanged() -> None:
    example = Example("Oil rises", "tfns", sentiment="positive")
    assert list(with_readings([example], {key_of("Acme falls"): READINGS["Acme falls"]})) == [example]


def test_the_readings_that_ship_can_be_read() -> None:
    readings = read_readings(SHIPPED)
    assert len(readings) > 30_000
    assert sum(len(reading.mentions) for reading in readings.values()) > len(readings)
